"""Supervised fine-tuning of the student with TRL, on our own rendering's ids and mask."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from persyn_kedro.domain.student.adapters import frozen_identity, load_trained, lora_config
from persyn_kedro.domain.student.arguments import sft_arguments
from persyn_kedro.domain.student.distributed import group_trainer, sharded_trainer, share_of
from persyn_kedro.domain.student.packed import IGNORED, collate, packable, packed_trainer
from persyn_kedro.domain.student.saving import save_student
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.models.float32_training import train_with_float32_products
from persyn_kedro.foundations.models.rendering import render
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes.group import Group, group
from persyn_kedro.foundations.progress.training import train
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.marks import lasting
from persyn_kedro.foundations.settings.student import SftSettings
from persyn_kedro.foundations.storage.checkpoints import checkpoints_of, newest_checkpoint

VERSION = 1  # raise it when the same inputs give another result


def train_student_job(
    rows: list[dict[str, Any]],
    student: ResolvedModel,
    system: str | None,
    settings: SftSettings,
    seed: int,
    workspace: Path,
) -> Iterator[dict[str, Any]]:
    """Fine-tune on ``rows`` (prompt, visible text), save to ``workspace/model``, yield the curve.

    The first item is ``{"left_out": n}``: rows longer than ``settings.max_length`` tokens. Then
    one ``{"step", "epoch", "loss", "learning_rate"}`` per optimizer step. Runs in a child process,
    or in several that train together (``foundations.processes.group``): ``settings.batch_size``
    rows are one batch for all of them, and any number of them can resume each other's checkpoints.

    Raises:
        PersynError: no row is short enough.
    """
    from persyn_kedro.foundations.models.load import load_tokenizer
    from persyn_kedro.foundations.models.resolve import here

    mine = group()
    student = here(student)
    tokenizer = load_tokenizer(student)
    examples = training_examples(tokenizer, rows, system, settings.max_length)
    if not examples:
        raise PersynError(f"No training row fits in sft.max_length = {settings.max_length}.")
    yield {"left_out": len(rows) - len(examples)}
    identity = {
        "rows": settings_id({"examples": examples}),
        "weights_id": student.weights_id,
        "settings": lasting(settings),
        "seed": seed,
        **frozen_identity(settings, student.settings.dtype),
    }
    if mine.rank == 0:
        checkpoints_of(workspace, settings_id(identity), VERSION)
    checkpoints = workspace / "checkpoints"
    newest = mine.agreed(newest_checkpoint(checkpoints) if mine.rank == 0 else None)
    start = student
    if mine.sharded and newest and not settings.lora:
        start = replace(student, directory=newest)
    trainer = _trainer(examples, tokenizer, start, settings, seed, checkpoints)
    train(trainer, "fine-tuning", newest)
    save_student(trainer, tokenizer, student, settings, workspace / "model", mine)
    for entry in trainer.state.log_history:
        if "loss" in entry:
            yield {key: entry[key] for key in ("step", "epoch", "loss", "learning_rate")}


def fits(
    tokenizer: Any, system: str | None, prompt: Prompt, response: str, max_length: int
) -> bool:
    """Return whether ``training_examples`` keeps this row."""
    return len(render(tokenizer, system, prompt, response).input_ids) <= max_length


def training_examples(
    tokenizer: Any,
    rows: list[dict[str, Any]],
    system: str | None,
    max_length: int,
) -> list[dict[str, list[int]]]:
    """Return ``input_ids`` and ``labels`` (-100 on the prompt) of the rows that fit."""
    examples = []
    for row in rows:
        rendered = render(tokenizer, system, row["prompt"], row["response"])
        pairs = zip(rendered.input_ids, rendered.completion_mask, strict=True)
        labels = [token if mask else IGNORED for token, mask in pairs]
        if len(labels) <= max_length:
            examples.append({"input_ids": rendered.input_ids, "labels": labels})
    return examples


def _trainer(
    examples: list[dict[str, list[int]]],
    tokenizer: Any,
    student: ResolvedModel,
    settings: SftSettings,
    seed: int,
    checkpoints: Path,
) -> Any:
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback

    mine = group()
    model = load_trained(student, settings, mine.size if mine.sharded else 1)
    packs = settings.attention is None and packable(model)
    trainer = _trainer_class(packs, mine)(
        model=model,
        data_collator=collate if packs else None,  # None: TRL's own, which pads
        args=sft_arguments(settings, seed, checkpoints, len(examples), packs),
        train_dataset=Dataset.from_list(examples),
        processing_class=tokenizer,
        peft_config=lora_config(settings.lora) if settings.lora else None,
    )
    if not mine.sharded:
        train_with_float32_products(trainer)
    if mine.size > 1:
        trainer.data_collator = share_of(trainer.data_collator, mine)
    trainer.remove_callback(PrinterCallback)  # prints a line per step; the curve has them all
    return trainer


def _trainer_class(packs: bool, mine: Group) -> Any:
    from trl import SFTTrainer

    trainer = packed_trainer() if packs else SFTTrainer
    trainer = group_trainer(trainer) if mine.size > 1 else trainer
    return sharded_trainer(trainer) if mine.sharded else trainer
