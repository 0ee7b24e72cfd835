"""Read the rows of one prompt file: JSON, JSON Lines, CSV or Parquet, plain or compressed."""

import csv
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from shutil import copyfileobj
from typing import IO, Any

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.storage.paths import Place, is_local, one_sentence_of

Row = dict[str, Any]


def file_records(
    path: Place, kind: str, compression: str | None, wanted: Sequence[str]
) -> Iterator[Row]:
    """Yield a file's rows in order, with all column names; of Parquet, only ``wanted`` is read.

    Args:
        kind: one of ``foundations.storage.prompt_files.KINDS``.
        compression: pyarrow's name of it.

    Raises:
        PersynError: the file cannot be read; the message names it and the line or row.
    """
    with one_sentence_of(path), _told(path, kind, compression), path.open("rb") as raw:
        if kind == ".parquet":
            yield from _parquet(_seekable(raw, compression), path, wanted)
        elif kind == ".csv":
            yield from _csv(_text(raw, compression, newline=""), path)
        else:
            yield from _json(_text(raw, compression), path, may_be_array=kind == ".json")


@contextmanager
def _told(path: Place, kind: str, compression: str | None) -> Iterator[None]:
    """Name the expected format in the error for a damaged file."""
    import pyarrow as pa

    packed = {"gzip": "a gzip file", "zstd": "a Zstandard file"}.get(compression or "")
    what = "a Parquet file" if kind == ".parquet" else packed
    try:
        yield
    except UnicodeDecodeError as error:
        raise PersynError(f"{path} is not UTF-8; convert it to UTF-8.") from error
    except (pa.ArrowException, OSError) as error:
        if what is None and not is_local(path):
            raise  # the remote store's own error
        said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        how = f"is not {what} or is corrupt" if what else "cannot be read"
        raise PersynError(f"{path} {how}: {said}.") from error


def _stream(raw: IO[bytes], compression: str | None) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(raw, compression) if compression else raw


def _text(raw: IO[bytes], compression: str | None, newline: str | None = None) -> io.TextIOWrapper:
    # utf-8-sig: with or without a byte order mark
    return io.TextIOWrapper(_stream(raw, compression), encoding="utf-8-sig", newline=newline)


def _seekable(raw: IO[bytes], compression: str | None) -> IO[bytes]:
    """Return a seekable file, as Parquet needs; a compressed one is unpacked to disk."""
    if not compression:
        return raw
    unpacked = tempfile.TemporaryFile()
    copyfileobj(_stream(raw, compression), unpacked)
    unpacked.seek(0)
    return unpacked


def _json(text: io.TextIOWrapper, path: Place, may_be_array: bool) -> Iterator[Row]:
    filled = ((number, line) for number, line in enumerate(text, start=1) if line.strip())
    for number, line in filled:
        if may_be_array and line.lstrip().startswith("["):
            yield from _array("\n" * (number - 1) + line + text.read(), path)
            return
        may_be_array = False
        yield _object(line, path, number)


def _array(text: str, path: Place) -> Iterator[Row]:
    for number, record in enumerate(_parsed(text, path, 1), start=1):
        if not isinstance(record, dict):
            raise PersynError(f"Item {number} of the array in {path} is not a JSON object.")
        yield record


def _object(line: str, path: Place, number: int) -> Row:
    record = _parsed(line, path, number)
    if not isinstance(record, dict):
        raise PersynError(f"Line {number} of {path} is not a JSON object.")
    return record


def _parsed(text: str, path: Place, first_line: int) -> Any:
    try:
        return json.loads(text.rstrip())  # else the error of a truncated line names the next
    except (ValueError, RecursionError) as error:  # ValueError: a number with 5,000 digits
        line = first_line + getattr(error, "lineno", 1) - 1
        why = getattr(error, "msg", None) or str(error)
        raise PersynError(f"Line {line} of {path} is not JSON: {why}.") from error


def _csv(text: io.TextIOWrapper, path: Place) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)  # a prompt may be longer than 131,072 characters
    rows = csv.reader(text, strict=True)
    header: list[str] | None = None
    number = 0
    try:
        for cells in rows:
            if not cells:
                continue  # a blank line
            if header is None:
                header = cells
                if len(set(header)) < len(header):
                    raise PersynError(f"The header of {path} has a duplicate column; rename one.")
                continue
            number += 1
            if len(cells) != len(header):
                raise PersynError(
                    f"Row {number} of {path} (ending on line {rows.line_num}) has {len(cells)} "
                    f"values, but the header has {len(header)}; quote values with commas or quotes."
                )
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise PersynError(f"Line {rows.line_num} of {path} is not CSV: {error}.") from error


def _parquet(file: IO[bytes], path: Place, wanted: Sequence[str]) -> Iterator[Row]:
    import pyarrow.parquet as pq

    table = pq.ParquetFile(file)
    names = dict.fromkeys(table.schema_arrow.names)
    if len(names) < len(table.schema_arrow):
        raise PersynError(f"{path} has a duplicate column; rename one.")
    columns = [name for name in wanted if name in names]
    if not columns and table.metadata.num_rows:
        yield names  # the caller's error then says which column is missing
        return
    for batch in table.iter_batches(columns=columns):
        exact = {name: _values(batch.column(name)) for name in batch.schema.names}
        for values in zip(*exact.values(), strict=True):
            yield {**names, **dict(zip(exact, values, strict=True))}


def _values(column: Any) -> list[Any]:
    values, exact = column.to_pylist(), _exact(column.type)
    return [exact(value) for value in values] if exact else values


def _exact(kind: Any) -> Callable[[Any], Any] | None:
    """Return a function that converts a type's half- and single-precision numbers, at any depth, to
    the doubles with the same decimal form (0.1 stays 0.1); None if the type has none."""
    import numpy as np
    import pyarrow.types as types

    if types.is_float16(kind) or types.is_float32(kind):
        number = np.float16 if types.is_float16(kind) else np.float32
        return lambda value: None if value is None else float(str(number(value)))
    if types.is_dictionary(kind):
        return _exact(kind.value_type)
    if types.is_struct(kind):
        each = [(field.name, _exact(field.type)) for field in kind]
        within = {name: exact for name, exact in each if exact}
        if not within:
            return None
        return lambda row: row and row | {name: exact(row[name]) for name, exact in within.items()}
    item = _exact(kind.value_type) if hasattr(kind, "value_type") else None  # lists of every kind
    return (lambda values: values and [item(value) for value in values]) if item else None
