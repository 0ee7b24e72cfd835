"""Where fetched and converted models are kept: directories that are whole, and files' hashes."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from persyn_kedro.foundations.hashing import text_id

VERSION = "v1"  # of what this package writes into the cache; part of the directories' names
FINISHED = "_SUCCESS"


def cache_directory() -> Path:
    """Return where fetched and converted models are kept ($PERSYN_CACHE or ~/.cache/...)."""
    chosen = os.environ.get("PERSYN_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "persyn-kedro"


def finished(kind: str, name: str, build: Callable[[Path], None]) -> Path:
    """Return the cache's directory of this name, built beside it and moved there if missing.

    So a directory of that name is always whole. Two builders at once: the first one wins.
    """
    final = place_of(kind, name)
    if (final / FINISHED).is_file():
        return final
    building = final.with_name(f".building-{final.name}-{uuid.uuid4().hex[:8]}")
    building.mkdir(parents=True)
    try:
        build(building)
        (building / FINISHED).touch()
        _move(building, final)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return final


def place_of(kind: str, name: str) -> Path:
    return cache_directory() / kind / f"{name}-{VERSION}"


def _move(building: Path, final: Path) -> None:
    try:
        os.replace(building, final)
    except OSError:
        if (final / FINISHED).is_file():
            return
        shutil.rmtree(final)  # a remnant without the last file, not of our making
        os.replace(building, final)


def file_sha256(path: Path) -> str:
    """Return the file's SHA-256, remembered in the cache by its path, size and times.

    A copy may keep the size and the time of its content (``cp -p``), never that of its status.
    """
    status = path.stat()
    key = text_id(f"{path.resolve()}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}")
    memory = cache_directory() / "hashes" / key
    if memory.is_file():
        return memory.read_text()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    memory.parent.mkdir(parents=True, exist_ok=True)
    partial = memory.with_name(f".{key}-{uuid.uuid4().hex[:8]}")
    partial.write_text(digest)
    os.replace(partial, memory)
    return digest
