"""Checkpoints of trainings that may be killed, found by the training's identity."""

import shutil
from pathlib import Path


def checkpoints_of(workspace: Path, fingerprint: str) -> Path:
    """Return the checkpoint directory, emptied unless it belongs to this training."""
    directory = workspace / "checkpoints"
    mark = directory / "fingerprint"
    if not mark.is_file() or mark.read_text() != fingerprint:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        mark.write_text(fingerprint)
    for checkpoint in directory.glob("checkpoint-*"):
        # The trainer writes this file last: without it the save is incomplete.
        if not (checkpoint / "trainer_state.json").is_file():
            shutil.rmtree(checkpoint)
    return directory


def newest_checkpoint(checkpoints: Path) -> Path | None:
    """Return the newest of a trainer's checkpoints in a directory, if any."""
    from transformers.trainer_utils import get_last_checkpoint

    newest = get_last_checkpoint(str(checkpoints))
    return Path(newest) if newest else None
