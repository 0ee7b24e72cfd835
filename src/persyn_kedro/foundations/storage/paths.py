"""Paths on this machine's disk, or in an object store by fsspec URL."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.extras import install

if TYPE_CHECKING:
    from typing_extensions import TypeIs
    from upath import UPath

Place: TypeAlias = "Path | UPath"  # both have /, name, parent, exists, open, glob, read_text
_LOCAL = ("file", "local")
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
_PROBE = ".reachable-{}"


def place(where: "str | Place") -> Place:
    """Return the place of a path or an fsspec URL, such as s3://bucket/prefix.

    Raises:
        PersynError: no installed package supports the URL's protocol.
    """
    if not isinstance(where, str):
        return where
    protocol, separator, rest = where.partition("://")
    if not separator:
        return Path(where)
    if protocol in _LOCAL:
        return Path("/" + rest.lstrip("/"))
    try:
        from upath import UPath

        # Another process may have added to a directory since it was last listed.
        found = UPath(where, use_listings_cache=False)
        _ = found.fs
    except (ImportError, ValueError) as error:
        how = f": run {install(_EXTRAS[protocol])}" if protocol in _EXTRAS else ""
        raise PersynError(f"{protocol}:// needs a package that is not installed{how}.") from error
    return found


def is_local(where: Place) -> "TypeIs[Path]":
    """Return whether a place is on a disk of this machine."""
    return isinstance(where, Path)


def is_there(file: Place) -> bool:
    """Return whether a file exists.

    Raises:
        PersynError: as ``one_sentence_of``.
    """
    with one_sentence_of(file):
        return file.is_file()


@contextmanager
def one_sentence_of(where: Place) -> Iterator[None]:
    """Raise an object store's errors, other than a missing file, as one sentence.

    Raises:
        PersynError: it cannot be reached, the bucket does not exist, or the keys are invalid.
    """
    try:
        yield
    except PersynError:
        raise
    except Exception as error:  # botocore's, aiohttp's and fsspec's share no base
        if is_local(where):
            raise
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise PersynError(f"{where} cannot be used: {said[0]}") from error


def check_writable(where: Place) -> None:
    """Refuse an object store that is not writable: a small object is put and removed.

    Raises:
        PersynError: as ``one_sentence_of``.
    """
    if is_local(where):
        return
    with one_sentence_of(where):
        probe = where / _PROBE.format(uuid.uuid4().hex)  # two runs may check at once
        probe.write_bytes(b"")
        probe.unlink()
