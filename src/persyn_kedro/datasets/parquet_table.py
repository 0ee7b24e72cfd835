"""Parquet tables, written and read in record batches."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from kedro_datasets._typing import TablePreview

from persyn_kedro.datasets.atomic import AtomicVersionedDataset
from persyn_kedro.foundations.schemas import unsettled_rows

ROW_GROUP = 16_384


class ParquetTable(AtomicVersionedDataset):
    """Loads a lazy ``pyarrow.dataset.Dataset``; saves a ``pa.Table`` or a ``pa.RecordBatchReader``.

    Neither way is the whole table in memory unless the node asks for it with ``to_table()``.
    """

    def _write(self, data: pa.Table | pa.RecordBatchReader, path: Path) -> None:
        batches = data.to_batches() if isinstance(data, pa.Table) else data
        with pq.ParquetWriter(path, data.schema) as writer:
            for group in _row_groups(batches):
                writer.write_table(pa.Table.from_batches(group))

    def _unsettled(self, data: pa.Table | pa.RecordBatchReader) -> int:
        return unsettled_rows(data.schema)

    def _read(self, path: Path) -> pads.Dataset:
        return pads.dataset(path, format="parquet")

    def preview(self, nrows: int = 10) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        return _as_preview(self.load().head(nrows))


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Join small batches: a row group for each would make a file of headers."""
    group: list[pa.RecordBatch] = []
    for batch in batches:
        group.append(batch)
        if sum(len(b) for b in group) >= ROW_GROUP:
            yield group
            group = []
    if group:
        yield group


def _as_preview(table: pa.Table) -> Any:
    columns = table.column_names
    rows = [[str(row[c])[:300] for c in columns] for row in table.to_pylist()]
    return TablePreview({"index": list(range(len(rows))), "columns": columns, "data": rows})
