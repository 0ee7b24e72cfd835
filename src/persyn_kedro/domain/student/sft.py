"""Supervised fine-tuning of the student with TRL, on our own rendering's ids and mask."""

import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from persyn_kedro.domain.student.distributed import (
    group_trainer,
    save_sharded,
    sharded_trainer,
    share_of,
)
from persyn_kedro.domain.student.packed import IGNORED, collate, packable, packed_trainer
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.models.rendering import end_of_turn_ids, render
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes.ranks import Group, group
from persyn_kedro.foundations.progress.training import train
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.student import LoraSettings, SftSettings
from persyn_kedro.foundations.storage.checkpoints import checkpoints_of

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
    or in several that train together (``foundations.processes.ranks``): ``settings.batch_size``
    rows are one batch for all of them, and any number of them can resume each other's checkpoints.

    Raises:
        PersynError: no row is short enough, or a LoRA adapter was asked for with sharded weights.
    """
    from persyn_kedro.foundations.models.load import load_tokenizer

    mine = group()
    if mine.sharded and settings.lora:
        raise PersynError("sft.lora does not work on sharded weights: set cluster.sharding: none.")
    tokenizer = load_tokenizer(student)
    examples = training_examples(tokenizer, rows, system, settings.max_length)
    if not examples:
        raise PersynError(f"No training row fits in sft.max_length = {settings.max_length}.")
    yield {"left_out": len(rows) - len(examples)}
    identity = {
        "rows": settings_id({"examples": examples}),
        "weights_id": student.weights_id,
        "settings": settings.model_dump(),
        "seed": seed,
    }
    if mine.rank == 0:
        checkpoints_of(workspace, settings_id(identity))
    mine.barrier()  # the others see what rank 0 left
    checkpoints = workspace / "checkpoints"
    newest = _newest(checkpoints)
    if mine.sharded and newest:
        student = replace(student, directory=newest)
    trainer = _trainer(examples, tokenizer, student, settings, seed, checkpoints)
    train(trainer, "fine-tuning", newest is not None)
    _save(trainer, tokenizer, student.settings.dtype, workspace / "model", mine)
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


def _newest(checkpoints: Path) -> Path | None:
    from transformers.trainer_utils import get_last_checkpoint

    newest = get_last_checkpoint(str(checkpoints))
    return Path(newest) if newest else None


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

    from persyn_kedro.foundations.models.load import load_causal_lm

    mine = group()
    master = "bfloat16" if settings.precision == "bfloat16" else "float32"
    model = load_causal_lm(student, master, mine.size if mine.sharded else 1)
    packs = packable(model)
    trainer = _trainer_class(packs, mine)(
        model=model,
        data_collator=collate if packs else None,  # None: TRL's own, which pads
        args=_arguments(settings, seed, checkpoints, _warmup_steps(settings, len(examples)), packs),
        train_dataset=Dataset.from_list(examples),
        processing_class=tokenizer,
        peft_config=_lora(settings.lora) if settings.lora else None,
    )
    if mine.size > 1:
        trainer.data_collator = share_of(trainer.data_collator, mine)
    trainer.remove_callback(PrinterCallback)  # prints a line per step; the curve has them all
    return trainer


def _trainer_class(packs: bool, mine: Group) -> Any:
    from trl import SFTTrainer

    trainer = packed_trainer() if packs else SFTTrainer
    trainer = group_trainer(trainer) if mine.size > 1 else trainer
    return sharded_trainer(trainer) if mine.sharded else trainer


def _warmup_steps(settings: SftSettings, examples: int) -> int:
    """Return the warm-up's share of the steps, rounded down: a single step must not be warm-up."""
    a_step = settings.batch_size * settings.gradient_accumulation
    return int(settings.warmup_fraction * settings.epochs * math.ceil(examples / a_step))


def _arguments(
    settings: SftSettings, seed: int, checkpoints: Path, warmup_steps: int, packs: bool
) -> Any:
    import torch
    from trl import SFTConfig

    return SFTConfig(
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        warmup_steps=warmup_steps,
        max_length=None,  # rows that are too long are left out above, never cut
        dataset_kwargs={"skip_prepare_dataset": True},  # ids and labels are ours
        gradient_checkpointing=settings.gradient_checkpointing,
        bf16=settings.precision == "bfloat16_autocast",
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        seed=seed,
        data_seed=seed,
        save_strategy="epoch",
        save_total_limit=1,
        logging_steps=1,
        include_num_input_tokens_seen="all" if packs else "non_padding",
        report_to="none",
        disable_tqdm=True,
    )


def _lora(settings: LoraSettings) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _save(trainer: Any, tokenizer: Any, dtype: str, directory: Path, mine: Group) -> None:
    """Save what ``from_pretrained`` and vLLM load, with the adapter merged and the template."""
    import torch

    if mine.rank == 0:
        shutil.rmtree(directory, ignore_errors=True)
    mine.barrier()
    if mine.rank and not mine.sharded:
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "merge_and_unload"):  # a PEFT model
        model = model.merge_and_unload()
    _stop_at_end_of_turn(model.generation_config, tokenizer)
    model = model.to(getattr(torch, dtype))
    if mine.sharded:
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
