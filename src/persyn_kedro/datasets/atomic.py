"""A versioned dataset whose half-written version can never be the latest."""

import os
import shutil
from abc import abstractmethod
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io.core import AbstractVersionedDataset, Version


class AtomicVersionedDataset(AbstractVersionedDataset):
    """Writes ``<filepath>/.partial-<version>/<name>``, then renames it to ``<filepath>/<version>``.

    The rename is atomic, and a hidden directory is no version to Kedro: a killed save leaves no
    trace in ``exists()`` or in "latest".
    """

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(PurePosixPath(filepath), version)
        self.metadata = metadata

    @abstractmethod
    def _write(self, data: Any, path: Path) -> None:
        """Write ``data`` as the file or directory ``path``, whose parent exists."""

    @abstractmethod
    def _read(self, path: Path) -> Any:
        """Read what ``_write`` wrote."""

    def load(self) -> Any:
        return self._read(Path(self._get_load_path()))

    def save(self, data: Any) -> None:
        target = Path(self._get_save_path())
        final = target.parent
        partial = final.parent / f".partial-{final.name}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        self._write(data, partial / target.name)
        os.replace(partial, final)

    def _exists(self) -> bool:
        try:
            return Path(self._get_load_path()).exists()
        except Exception:  # Kedro raises a DatasetError where there is no version yet
            return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}
