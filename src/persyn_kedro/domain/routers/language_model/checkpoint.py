"""Checkpoints of a router's training: if killed, it resumes after its last complete epoch."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.processes.group import group
from persyn_kedro.foundations.storage.checkpoints import checkpoints_of

if TYPE_CHECKING:
    import torch

Curve = list[dict[str, float]]


class RouterCheckpoint:
    """One file with all states after an epoch, the same for any number of ranks."""

    def __init__(
        self,
        workspace: Path | None,
        identity: Mapping[str, Any],
        version: int,
        shuffles: "torch.Generator",
    ) -> None:
        """Find the checkpoints of this training; there are none without a workspace.

        Args:
            version: of the algorithm (``foundations.storage.checkpoints``).
        """
        self._shuffles = shuffles
        self._path = workspace / "checkpoints" / "router.pt" if workspace else None
        if workspace and group().rank == 0:
            checkpoints_of(workspace, settings_id(identity), version)

    def load(self, parts: Mapping[str, Any]) -> Curve:
        """Restore ``parts`` (by name, each with a state_dict); return the curve so far."""
        import torch

        if self._path is None or not group().agreed(self._path.is_file()):
            return []
        saved = torch.load(self._path, map_location="cpu", weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        self._shuffles.set_state(saved["shuffles"])
        torch.set_rng_state(saved["rng"])
        if "cuda_rng" in saved and torch.cuda.is_available():
            torch.cuda.set_rng_state(saved["cuda_rng"])
        return saved["curve"]

    def save(self, parts: Mapping[str, Any], curve: Curve) -> None:
        """Save the states of ``parts`` after the last epoch of ``curve``."""
        import torch

        if self._path is None or group().rank:
            return
        state = {name: part.state_dict() for name, part in parts.items()}
        more = {
            "curve": curve,
            "shuffles": self._shuffles.get_state(),
            "rng": torch.get_rng_state(),
        }
        if torch.cuda.is_available():  # an adapter's dropout is drawn there
            more["cuda_rng"] = torch.cuda.get_rng_state()
        draft = self._path.with_suffix(".tmp")
        torch.save({**state, **more}, draft)
        draft.replace(self._path)
