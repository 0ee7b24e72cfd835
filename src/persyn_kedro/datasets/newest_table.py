"""Another entry's newest version, if any: for steps that use whatever exists."""

from typing import Any, ClassVar

from kedro.io import AbstractDataset, DatasetError

from persyn_kedro.datasets.atomic import AtomicVersionedDataset
from persyn_kedro.datasets.documents import JsonDocument
from persyn_kedro.datasets.parquet_table import ParquetTable


class Newest(AbstractDataset):
    """Loads the newest version of a versioned entry at ``filepath``, or None."""

    of: ClassVar[type[AtomicVersionedDataset]]  # the entry's kind

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath, self.metadata = filepath, metadata

    def load(self) -> Any:
        entry, newest = self._entry()
        return None if newest is None else entry.load_version(newest)

    def content(self) -> str | None:
        """Return the content hash of what is there, for the record of a step that reads it."""
        entry, newest = self._entry()
        return None if newest is None else entry.record(newest)["content"]

    def _entry(self) -> tuple[AtomicVersionedDataset, str | None]:
        from kedro.io.core import Version

        entry = self.of(filepath=self._filepath, version=Version(None, None))
        return entry, entry.newest()

    def save(self, data: Any) -> None:
        raise DatasetError("This entry reads another entry's newest version; it cannot be saved.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}


class NewestTable(Newest):
    """Of a ``ParquetTable``, read as a dataset of Arrow."""

    of = ParquetTable


class NewestDocument(Newest):
    """Of a ``JsonDocument``."""

    of = JsonDocument
