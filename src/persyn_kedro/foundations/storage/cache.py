"""The cache of fetched and converted models: complete directories, and files' hashes."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from persyn_kedro.foundations.hashing import text_id

VERSION = "v1"  # of the cache's contents; part of its directories' names
FINISHED = "_SUCCESS"


def cache_directory() -> Path:
    """Return the directory of fetched and converted models ($PERSYN_CACHE or ~/.cache/...)."""
    chosen = os.environ.get("PERSYN_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "persyn-kedro"


def finished(kind: str, name: str, build: Callable[[Path], None]) -> Path:
    """Return the cache's directory of this name, built beside it and moved there if missing.

    A directory of that name is therefore always complete. If two build it, the first one wins.
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
        shutil.rmtree(final)  # an incomplete remnant that we did not make
        os.replace(building, final)


def file_sha256(path: Path) -> str:
    """Return the file's SHA-256, remembered in the cache by path, size and times.

    A copy may keep a file's size and mtime (``cp -p``), but never its ctime.
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
