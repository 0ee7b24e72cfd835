"""A server on the loopback interface that answers chat completions after a while: for hosted.py.

    python benchmarks/hosted_server.py 0.5     # seconds, each ± 50 %; prints its port

It says the same to everybody, and draws how long it takes from a seed, in the order of arrival.
"""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TEXT = "The answer is a matter of some arithmetic, as one can see. " * 6
END = b"\r\n\r\n"


def reply() -> bytes:
    """Return the one reply, about 100 tokens long."""
    message = {"role": "assistant", "content": TEXT}
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 60, "completion_tokens": 90, "total_tokens": 150},
    }
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    return head.encode() + END + data


class Completions(asyncio.Protocol):
    """A connection: request after request. Plain HTTP/1.1, so that it takes little of a core."""

    def __init__(self, seconds: float, draw: random.Random, said: bytes) -> None:
        self._seconds, self._draw, self._said = seconds, draw, said
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that has come in full."""
        self._read += data
        while (end := self._read.find(END)) >= 0:
            head = self._read[:end].lower()
            _, _, length = head.partition(b"content-length:")
            whole = end + len(END) + int(length.split(b"\r\n", 1)[0])
            if len(self._read) < whole:
                return
            self._read = self._read[whole:]
            wait = self._seconds * (0.5 + self._draw.random())
            asyncio.get_running_loop().call_later(wait, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._said)  # type: ignore[attr-defined]


async def serve(seconds: float) -> None:
    """Serve for ever."""
    draw, said = random.Random(0), reply()  # noqa: S311
    server = await asyncio.get_running_loop().create_server(
        lambda: Completions(seconds, draw, said), "127.0.0.1", 0, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def serving(seconds: float) -> Iterator[str]:
    """Run a server in a process of its own; yield its address, which ends in /v1."""
    command = [sys.executable, __file__, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
