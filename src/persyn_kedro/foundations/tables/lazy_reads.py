"""Lazy reads from an object store: an error while a step runs becomes one sentence."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow.fs import FSSpecHandler, PyFileSystem

from persyn_kedro.foundations.storage.paths import one_sentence_of

if TYPE_CHECKING:
    from upath import UPath


def telling(file: "UPath") -> PyFileSystem:
    """Return the file's store for pyarrow; it can be passed to another process.

    Whatever reads it, in whichever thread, gets a PersynError if the store does not answer.
    """
    return PyFileSystem(_Handler(file))


class _Handler(FSSpecHandler):
    def __init__(self, where: "UPath") -> None:
        super().__init__(where.fs)
        self._where = where

    def open_input_file(self, path: str) -> pa.PythonFile:
        with one_sentence_of(self._where):
            return pa.PythonFile(_Told(self.fs.open(path, mode="rb"), self._where), mode="r")

    open_input_stream = open_input_file


class _Told:
    """An fsspec file whose read errors become one sentence."""

    def __init__(self, file: Any, where: "UPath") -> None:
        self._file, self._where = file, where

    def read(self, size: int = -1) -> bytes:
        with one_sentence_of(self._where):
            return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
