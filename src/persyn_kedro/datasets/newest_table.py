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
        from kedro.io.core import Version

        table = ParquetTable(filepath=self._filepath, version=Version(None, None))
        newest = table.newest()
        if newest is None:
            return None
        return table.load_version(newest)

    def save(self, data: Any) -> None:
        raise DatasetError("This entry reads another entry's newest version; it cannot be saved.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
