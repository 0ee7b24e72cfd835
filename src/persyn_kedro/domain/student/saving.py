"""The student that a training ends with."""

import shutil
from pathlib import Path
from typing import Any

from persyn_kedro.domain.student.adapters import merged
from persyn_kedro.domain.student.distributed import save_sharded
from persyn_kedro.foundations.models.rendering import end_of_turn_ids
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes.group import Group
from persyn_kedro.foundations.settings.student import TrainingSettings


def save_student(
    trainer: Any,
    tokenizer: Any,
    student: ResolvedModel,
    settings: TrainingSettings,
    directory: Path,
    mine: Group,
) -> None:
    """Save what ``from_pretrained`` and vLLM load, with the adapter merged and the template."""
    import torch

    if mine.rank == 0:
        shutil.rmtree(directory, ignore_errors=True)
    mine.barrier()
    if mine.rank and (settings.lora or not mine.sharded):
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    if settings.lora:
        model = merged(model, student, settings, mine.sharded)
    _stop_at_end_of_turn(model.generation_config, tokenizer)
    model = model.to(getattr(torch, student.settings.dtype))
    if mine.sharded and not settings.lora:
        save_sharded(model, directory)
    else:
        model.save_pretrained(directory)
    if mine.rank == 0:
        tokenizer.save_pretrained(directory)


def _stop_at_end_of_turn(generation: Any, tokenizer: Any) -> None:
    """Add the trained end of turn to the stops: it may differ from the tokenizer's end of text."""
    stops = generation.eos_token_id
    stops = [] if stops is None else [stops] if isinstance(stops, int) else stops
    generation.eos_token_id = list(dict.fromkeys([*end_of_turn_ids(tokenizer), *stops]))
