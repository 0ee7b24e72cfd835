"""Another entry's newest version, if it has one: for what only looks at what there is."""

from typing import Any

import pyarrow.dataset as pads
from kedro.io import AbstractDataset, DatasetError

from persyn_kedro.datasets.parquet_table import ParquetTable


class NewestTable(AbstractDataset):
    """Loads the newest table of a versioned ``ParquetTable`` at ``filepath``, None without one."""

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
        raise DatasetError("this entry is another one's newest version, never saved")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
