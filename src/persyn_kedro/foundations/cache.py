"""The cache outside the clone, whose directories are found again by the hash in their name."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

DONE = "_SUCCESS"


def cache_directory() -> Path:
    """Return ``$PERSYN_CACHE``, or ``~/.cache/persyn-kedro``."""
    return Path(os.environ.get("PERSYN_CACHE", "~/.cache/persyn-kedro")).expanduser()


def cached(name: str, build: Callable[[Path], None]) -> Path:
    """Return the cache's directory ``name``, built first if it is not there whole.

    ``build`` fills a sibling directory; ``_SUCCESS`` goes in last, then it is renamed, so a killed
    build leaves nothing that could be taken for a finished one.
    """
    directory = cache_directory() / name
    if (directory / DONE).exists():
        return directory
    partial = directory.with_name(f".partial-{directory.name}-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        build(partial)
        (partial / DONE).touch()
        shutil.rmtree(directory, ignore_errors=True)
        os.replace(partial, directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return directory
