"""Checkpoints of trainings that may be killed, found by the training's identity."""

import json
import shutil
from pathlib import Path


def checkpoints_of(workspace: Path, fingerprint: str, version: int) -> Path:
    """Return the checkpoint directory, emptied unless it belongs to this training.

    Args:
        version: of the algorithm: another one's checkpoints would lead to a result of neither.
    """
    fingerprint = fingerprint if version == 1 else f"{fingerprint} version {version}"
    directory = workspace / "checkpoints"
    mark = directory / "fingerprint"
    if not mark.is_file() or mark.read_text() != fingerprint:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        mark.write_text(fingerprint)
    for checkpoint in directory.glob("checkpoint-*"):
        if not _is_complete(checkpoint):
            shutil.rmtree(checkpoint)
    return directory


def _is_complete(checkpoint: Path) -> bool:
    """Return whether the file is there that the trainer writes last, and to its end."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text())
    except (OSError, ValueError):
        return False
    return True


def newest_checkpoint(checkpoints: Path) -> Path | None:
    """Return the newest of a trainer's checkpoints in a directory, if any."""
    from transformers.trainer_utils import get_last_checkpoint

    newest = get_last_checkpoint(str(checkpoints))
    return Path(newest) if newest else None
