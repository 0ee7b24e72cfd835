"""Catalog entries whose load gives a handle: the stores, and a workspace for training."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from persyn_kedro.domain.stores.quality_store import QualityStore
from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.stores.statistics_store import StatisticsStore

_STORES: dict[str, Any] = {
    "responses": ResponseStore,
    "statistics": StatisticsStore,
    "quality": QualityStore,
}


class StoreHandle(AbstractDataset):
    """An append-only, content-addressed store. Nodes use it as an input only."""

    def __init__(self, *, filepath: str, kind: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath, self._kind, self.metadata = filepath, kind, metadata

    def load(self) -> Any:
        return _STORES[self._kind](Path(self._filepath))

    def save(self, data: Any) -> None:
        raise DatasetError("a store is appended to by nodes, never saved")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "kind": self._kind}


class Workspace(AbstractDataset):
    """A directory for checkpoints and half-built models, outside every version."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath, self.metadata = Path(filepath), metadata

    def load(self) -> Path:
        self._filepath.mkdir(parents=True, exist_ok=True)
        return self._filepath

    def save(self, data: Any) -> None:
        raise DatasetError("a workspace is written to by training, never saved")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
