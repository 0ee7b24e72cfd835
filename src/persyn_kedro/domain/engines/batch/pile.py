"""The requests of a job before it is sent, in a temporary file: there may be 256 MB of them."""

import json
import tempfile
from typing import Any, Self


class Pile:
    """JSON lines in a file, as long as they fit into one job."""

    def __init__(self, most_requests: int, most_bytes: int) -> None:
        self._most_requests, self._most_bytes = most_requests, most_bytes
        self.keys: list[str] = []
        self._bytes = 0
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by ``close``

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def has_room(self, line: bytes) -> bool:
        """Return whether a line still fits; into an empty pile it must."""
        full = len(self.keys) >= self._most_requests
        return not full and self._bytes + len(line) <= self._most_bytes

    def add(self, key: str, line: bytes) -> None:
        """Add a request."""
        self.file.write(line)
        self.keys.append(key)
        self._bytes += len(line)


def as_line(body: dict[str, Any]) -> bytes:
    """Return a JSON object as a line."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
