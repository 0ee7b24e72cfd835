"""Append-only tables: a shelf is a directory, each append one immutable Parquet file."""

import io
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.storage.fsync import flush_directory, make_directory
from persyn_kedro.foundations.storage.paths import Place, is_local, one_sentence_of, place
from persyn_kedro.foundations.tables.added import lacking

log = logging.getLogger(__name__)

IDENTITY_FILE = "identity.json"
REMOTE_READS = 16  # parts read from an object store at once


class PartStore:
    """Rows of one schema under ``root/<shelf>/part-*.parquet``, later parts after earlier ones.

    A part is complete or absent: on a disk it is written under a temporary name, flushed and
    renamed, in an object store it is one upload. Of several rows with one ``key`` the last counts,
    except that, if the schema has an ``error`` column, an error never replaces a success.
    """

    def __init__(self, root: Place, schema: pa.Schema, key: Sequence[str] = ("response_key",)):
        self.root = place(root)
        self.schema = schema
        self.key = tuple(key)

    def append(self, shelf: str, rows: list[dict[str, Any]]) -> None:
        """Add ``rows`` to the shelf in one part file; without rows there is no file."""
        if rows:
            table = pa.Table.from_pylist(rows, schema=self.schema)
            name = f"part-{time.time_ns():020d}-{uuid.uuid4().hex[:12]}.parquet"
            write_atomically(self._shelf(shelf) / name, lambda file: pq.write_table(table, file))

    def read(self, shelf: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the shelf's rows, one per key, with ``columns`` (default: all).

        The table is empty if the shelf does not exist.

        Columns that were added to the schema later are null in earlier parts.

        A part that is not a complete Parquet file is logged, set aside, and counts as missing.

        Raises:
            PersynError: a part lacks a column: it was written by another version.
        """
        columns = list(self.schema.names if columns is None else columns)
        deciding = [*self.key, *(["error"] if "error" in self.schema.names else [])]
        needed = [name for name in self.schema.names if name in {*columns, *deciding}]
        schema = pa.schema([self.schema.field(name) for name in needed])
        with one_sentence_of(self.root):
            found: list[Place] = list(self._shelf(shelf).glob("part-*.parquet"))
        paths = sorted(found, key=lambda path: path.name)
        if is_local(self.root):
            read = [_read_part(path, schema) for path in paths]
        else:  # each has a high latency
            with ThreadPoolExecutor(REMOTE_READS) as pool:
                read = list(pool.map(_read_part, paths, repeat(schema)))
        parts = [part for part in read if part is not None]
        if not parts:
            return schema.empty_table().select(columns)
        return self._that_count(pa.concat_tables(parts)).select(columns)

    def describe(self, shelf: str, identity: Mapping[str, Any]) -> None:
        """Write what the shelf's id stands for to its identity.json, if not there yet."""
        path = self._shelf(shelf) / IDENTITY_FILE
        with one_sentence_of(path):
            there = path.exists()
        if not there:
            text = json.dumps(identity, indent=2, sort_keys=True, ensure_ascii=False)
            write_atomically(path, lambda file: file.write(text.encode("utf-8")))

    def imported(self) -> str:
        """Return an identity of everything that was imported by hand, or ""."""
        with one_sentence_of(self.root):
            marks = sorted(path.name for path in self.root.glob("import-*.json"))
        return settings_id({"imports": marks}) if marks else ""

    def note_import(self, counts: Mapping[str, int]) -> None:
        """Record that rows were imported by hand: steps that read them are redone."""
        path = self.root / f"import-{time.time_ns():020d}-{uuid.uuid4().hex[:12]}.json"
        text = json.dumps(counts, ensure_ascii=False)
        write_atomically(path, lambda file: file.write(text.encode("utf-8")))

    def _shelf(self, shelf: str) -> Place:
        return self.root / shelf

    def _that_count(self, table: pa.Table) -> pa.Table:
        """Return each key's row: the last without error, else the last."""
        keys = [table[name] for name in self.key]
        if len(keys) == 1 and pc.count_distinct(keys[0], mode="all").as_py() == len(table):
            return table
        rows = pa.array(np.arange(len(table)))
        failed = pc.is_valid(table["error"]) if "error" in table.column_names else pa.scalar(False)
        good = pc.if_else(failed, pa.scalar(None, pa.int64()), rows)
        names = [*self.key, "row", "good"]
        best = pa.table([*keys, rows, good], names).group_by(list(self.key))
        best = best.aggregate([("row", "max"), ("good", "max")])
        chosen = np.zeros(len(table), dtype=bool)
        chosen[pc.coalesce(best["good_max"], best["row_max"]).to_numpy()] = True
        return table.filter(pa.array(chosen))  # take would concatenate texts, and fail over 2 GiB


def _read_part(path: Place, schema: pa.Schema) -> pa.Table | None:
    with one_sentence_of(path):  # an unreachable store is not a damaged part
        source = path if is_local(path) else pa.BufferReader(path.fs.cat_file(path.path))
    try:
        with pq.ParquetFile(source) as file:
            table = file.read(columns=schema.names)
            for field in lacking(file.schema_arrow, schema):
                table = table.append_column(field, pa.nulls(len(table), field.type))
    except (PermissionError, FileNotFoundError):
        raise
    except (pa.ArrowException, OSError) as error:
        aside = path.with_suffix(".corrupt")
        with suppress(FileNotFoundError):  # another run was faster
            path.rename(aside)  # type: ignore[arg-type]  # both have the same type
        log.warning("%s is damaged (%s) and was set aside as %s", path, error, aside.name)
        return None
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, KeyError) as error:
        raise PersynError(f"{path} cannot be read as part of its store: {error}") from error


def write_atomically(path: Place, write: Callable[[Any], Any]) -> None:
    """Write a file that is complete or absent, whatever happens, and flush it to disk."""
    if not isinstance(path, Path):
        whole = io.BytesIO()
        write(whole)
        with one_sentence_of(path):
            path.fs.pipe_file(path.path, whole.getvalue())  # atomic, unlike open()
        return
    make_directory(path.parent)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    flush_directory(path.parent)
