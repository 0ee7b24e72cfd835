"""Catalog entries that load as handles: the stores, and a workspace for training."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from persyn_kedro.domain.stores import (
    QualityStore,
    ResponseStore,
    RoutingStore,
    StatisticsStore,
    TrialStore,
)
from persyn_kedro.domain.teachers import Ledger
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.storage import Place, cache_directory, place

_STORES: dict[str, Any] = {
    "responses": ResponseStore,
    "statistics": StatisticsStore,
    "quality": QualityStore,
    "routing": RoutingStore,
    "trials": TrialStore,
}


_HELD: dict[Path, Any] = {}  # an unreferenced lock would be released at once


class StoreHandle(AbstractDataset):
    """An append-only, content-addressed store. Nodes only take it as an input."""

    def __init__(self, *, filepath: str, kind: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath, self._kind, self.metadata = filepath, kind, metadata

    def load(self) -> Any:
        return _STORES[self._kind](self.root)

    @property
    def root(self) -> Place:
        """Where the store is."""
        return place(self._filepath)

    def save(self, data: Any) -> None:
        raise DatasetError("Nodes append to a store; it cannot be saved.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "kind": self._kind}


class LedgerHandle(AbstractDataset):
    """What this run has spent on teachers: one ledger for all its nodes, discarded afterwards."""

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        self._ledger, self.metadata = Ledger(), metadata

    def load(self) -> Ledger:
        return self._ledger

    def save(self, data: Any) -> None:
        raise DatasetError("Nodes add to a ledger; it cannot be saved.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {}


class Workspace(AbstractDataset):
    """A directory for checkpoints and unfinished models, outside all versions, on a local disk.

    One process at a time holds it, from its first load until it exits. (The stores need no lock:
    each append is a file of its own.) For an fsspec URL it is a directory in the model cache.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        where = place(filepath)
        own = (
            where
            if isinstance(where, Path)
            else cache_directory() / "workspaces" / text_id(str(where))
        )
        self._filepath, self.metadata = own, metadata

    @property
    def directory(self) -> Path:
        """Where it is, for what several processes may write at a time."""
        return self._filepath

    def load(self) -> Path:
        from filelock import FileLock, Timeout

        self._filepath.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._filepath / ".lock", is_singleton=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise PersynError(
                f"Another run is training in {self._filepath}; wait until it ends."
            ) from None
        _HELD[self._filepath] = lock
        return self._filepath

    def save(self, data: Any) -> None:
        raise DatasetError("Training writes to a workspace; it cannot be saved.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
