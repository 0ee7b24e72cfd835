"""Parquet tables, written and read in record batches."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from kedro.io.core import Version
from kedro_datasets._typing import TablePreview

from persyn_kedro.datasets.atomic import AtomicVersionedDataset
from persyn_kedro.datasets.previews import NOT_MADE, preview_table
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.storage import Place
from persyn_kedro.foundations.tables import (
    BLOCK,
    COLUMNS,
    TableCheck,
    give_back,
    telling,
    unsettled_rows,
    with_added,
)

ROW_GROUP = BLOCK


class ParquetTable(AtomicVersionedDataset):
    """Loads a lazy ``pyarrow.dataset.Dataset``; saves a ``pa.Table`` or a ``pa.RecordBatchReader``.

    The full table is in memory only if the node asks for it with ``to_table()``.

    With ``table``, one of ``foundations.tables.COLUMNS``, a table that breaks its rules is not
    saved: a PersynError says where. Without it nothing is checked.
    """

    def __init__(
        self,
        *,
        filepath: str,
        table: str | None = None,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        if table is not None and table not in COLUMNS:
            raise PersynError(f"Unknown table {table!r}; available: {', '.join(COLUMNS)}.")
        self._table = table

    @property
    def table(self) -> str | None:
        """Which of ``foundations.tables.COLUMNS`` it has."""
        return self._table

    def _write(self, data: pa.Table | pa.RecordBatchReader, path: Path) -> None:
        # Not with Kedro's `validator:`, which sees what is passed to save: a stream is read only
        # once.
        check = TableCheck(self._table, path.stem, data.schema) if self._table else None
        batches = data.to_batches() if isinstance(data, pa.Table) else data
        with pq.ParquetWriter(path, data.schema) as writer:
            for rows in _row_groups(batches):
                if check is not None:
                    check.check(rows)
                writer.write_table(rows)
                give_back()

    def _unsettled(self, data: pa.Table | pa.RecordBatchReader) -> int:
        return unsettled_rows(data.schema)

    def _read(self, path: Place) -> pads.Dataset:
        if isinstance(path, Path):
            # Arrow holds what it reads ahead until the end of the file: here, the entire table.
            found = pads.dataset(path, format=pads.ParquetFileFormat(pre_buffer=False))
        else:
            found = pads.dataset(path.path, format="parquet", filesystem=telling(path))
        return with_added(found, COLUMNS[self._table]) if self._table else found

    def preview(self, nrows: int = 10) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        if not self.exists():
            return preview_table([NOT_MADE], [])
        head = self.load().head(nrows)
        return preview_table(head.column_names, [list(row.values()) for row in head.to_pylist()])

    def statistics(self) -> dict[str, int]:
        """Return rows, columns and bytes of the newest version, without reading its rows."""
        path = self.place_of(self._get_load_path())
        with path.open("rb") as file:
            footer = pq.read_metadata(file)
        size = path.stat().st_size
        # The schema's names, not the footer's columns: those are the leaves of nested columns.
        columns = len(footer.schema.to_arrow_schema().names)
        return {"rows": footer.num_rows, "columns": columns, "file_size": size}


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Join and slice batches into ``ROW_GROUP`` rows each: the bytes depend only on the rows.

    A row group for each small batch would make a file of headers.
    """
    group: list[pa.RecordBatch] = []
    room = ROW_GROUP
    for batch in batches:
        while len(batch) >= room:
            yield pa.Table.from_batches([*group, batch[:room]]).combine_chunks()
            group, batch, room = [], batch[room:], ROW_GROUP
        if len(batch):
            group.append(batch)
            room -= len(batch)
    if group:
        yield pa.Table.from_batches(group).combine_chunks()
