"""Flush files to disk, so that they survive a power cut."""

import os
from pathlib import Path


def flush_tree(directory: Path) -> None:
    """Flush all files and directories of a directory."""
    for path in directory.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            flush_directory(path)
    flush_directory(directory)


def make_directory(directory: Path) -> None:
    """Make a directory, and those above it, so that they survive a power cut."""
    above = [path for path in (directory, *directory.parents) if not path.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    for path in reversed(above):
        flush_directory(path.parent)


def flush_directory(directory: Path) -> None:
    """Make the names in a directory durable; not all systems can."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:  # some file systems refuse to flush directories
        return
    finally:
        os.close(descriptor)
