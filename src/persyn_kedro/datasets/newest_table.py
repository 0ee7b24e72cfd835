"""Another entry's newest version, if any: for steps that use whatever exists."""

from typing import Any

import pyarrow.dataset as pads
from kedro.io import AbstractDataset, DatasetError

from persyn_kedro.datasets.parquet_table import ParquetTable


class NewestTable(AbstractDataset):
    """Loads the newest table of a versioned ``ParquetTable`` at ``filepath``, or None."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath, self.metadata = filepath, metadata

    def load(self) -> pads.Dataset | None:
        table = self._table()
        newest = table.newest()
        return None if newest is None else table.load_version(newest)

    def content(self) -> str | None:
        """Return the content hash of the newest table, if any: what a record says of it."""
        table = self._table()
        newest = table.newest()
        return None if newest is None else table.record(newest)["content"]

    def _table(self) -> ParquetTable:
        from kedro.io.core import Version

        return ParquetTable(filepath=self._filepath, version=Version(None, None))

    def save(self, data: Any) -> None:
        raise DatasetError("This entry reads another entry's newest version; it cannot be saved.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
