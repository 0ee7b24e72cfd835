"""Read the next model's files into the page cache while another model works."""

import threading
from pathlib import Path

from persyn_kedro.foundations.processes.memory import free_bytes

_SHARE = 0.5  # of the memory that is free: the model at work may need more
_BLOCK = 1 << 24


def read_ahead(directory: Path) -> threading.Thread | None:
    """Begin to read a model's files in the background, so that it loads from memory.

    It is a help and nothing else: a file that cannot be read is left to the one who needs it.

    Returns:
        The thread; None if the files would not fit in half of the free memory, or that is unknown.
    """
    try:
        files = [path for path in sorted(directory.glob("*")) if path.is_file()]
        size = sum(path.stat().st_size for path in files)
    except OSError:
        return None
    if not files or size > _SHARE * free_bytes():
        return None
    thread = threading.Thread(target=_read, args=(files,), name="read ahead", daemon=True)
    thread.start()
    return thread


def _read(files: list[Path]) -> None:
    block = bytearray(_BLOCK)
    for path in files:
        try:
            with path.open("rb", buffering=0) as file:
                while file.readinto(block):
                    pass
        except OSError:
            return
