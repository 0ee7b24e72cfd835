"""A reward model trained with TRL's RewardTrainer on the same ids that it will score."""

import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from persyn_kedro.domain.quality.reward_model import pair_ids
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.models.float32_training import train_with_float32_products
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.progress.training import train
from persyn_kedro.foundations.settings.experiments import TrainRewardModelSettings
from persyn_kedro.foundations.storage.checkpoints import checkpoints_of, newest_checkpoint

VERSION = 1  # raise it when the same inputs give another result


def train_reward_model_job(
    pairs: list[dict[str, Any]],
    model: ResolvedModel,
    settings: TrainRewardModelSettings,
    seed: int,
    workspace: Path,
) -> Iterator[dict[str, Any]]:
    """Train on ``pairs`` (prompt, chosen, rejected), save to ``workspace/model``, yield the curve.

    The first item is ``{"left_out": n}``, the number of pairs that are too long.
    The loss is Bradley-Terry's: -log sigmoid(score of the chosen - score of the rejected). Pairs
    with a side longer than ``settings.max_length`` tokens are left out. Runs in a child process.

    Raises:
        PersynError: no pair is short enough.
    """
    from persyn_kedro.foundations.models.load import load_tokenizer

    tokenizer = load_tokenizer(model)
    examples = _examples(tokenizer, pairs, settings.max_length)
    if not examples:
        raise PersynError(
            f"No preference pair fits in train_reward_model.max_length = {settings.max_length}."
        )
    yield {"left_out": len(pairs) - len(examples)}
    identity = {
        "pairs": settings_id({"examples": examples}),
        "weights_id": model.weights_id,
        "settings": settings.model_dump(),
        "seed": seed,
    }
    checkpoints = checkpoints_of(workspace, settings_id(identity), VERSION)
    trainer = _trainer(examples, tokenizer, model, settings, seed, checkpoints)
    train(trainer, "training the reward model", newest_checkpoint(checkpoints))
    _save(trainer, model, workspace / "model")
    for entry in trainer.state.log_history:
        if "loss" in entry:
            yield {key: entry[key] for key in ("step", "epoch", "loss", "learning_rate")}


def _examples(
    tokenizer: Any, pairs: Sequence[dict[str, Any]], max_length: int
) -> list[dict[str, list[int]]]:
    examples = [
        {
            "chosen_ids": pair_ids(tokenizer, pair["prompt"], pair["chosen"]),
            "rejected_ids": pair_ids(tokenizer, pair["prompt"], pair["rejected"]),
        }
        for pair in pairs
    ]
    return [e for e in examples if all(len(ids) <= max_length for ids in e.values())]


def _trainer(
    examples: list[dict[str, list[int]]],
    tokenizer: Any,
    model: ResolvedModel,
    settings: TrainRewardModelSettings,
    seed: int,
    checkpoints: Path,
) -> Any:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification
    from transformers.trainer_callback import PrinterCallback
    from trl import RewardConfig, RewardTrainer

    from persyn_kedro.foundations.models.load import device, on_one_gpu, readable, source_options

    torch.manual_seed(seed)  # the new head
    with readable(model):
        classifier = AutoModelForSequenceClassification.from_pretrained(
            model.directory, num_labels=1, dtype=torch.float32, **source_options(model)
        )
    steps = settings.epochs * math.ceil(
        len(examples) / (settings.batch_size * settings.gradient_accumulation)
    )
    tokenizer.pad_token = _padding(tokenizer, examples)
    arguments = RewardConfig(
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        warmup_steps=int(settings.warmup_fraction * steps),
        max_length=None,  # pairs that are too long are left out above
        bf16=settings.precision == "bfloat16_autocast",
        gradient_checkpointing=False,
        use_cpu=device() == "cpu",
        dataloader_pin_memory=device() == "cuda",
        seed=seed,
        data_seed=seed,
        save_strategy="epoch",
        save_total_limit=1,
        logging_steps=1,
        include_num_input_tokens_seen="non_padding",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = RewardTrainer(
        model=classifier,
        args=on_one_gpu(arguments),
        train_dataset=Dataset.from_list(examples),
        processing_class=tokenizer,
    )
    train_with_float32_products(trainer)
    trainer.remove_callback(PrinterCallback)  # prints a line per step; the curve has them all
    return trainer


def _padding(tokenizer: Any, examples: Sequence[dict[str, list[int]]]) -> str:
    """Return a token that no example contains.

    The score is read at the last token that is not padding: if the padding were also the end of
    turn, as in many models, it would be read one token too early.
    """
    used = set().union(*(ids for example in examples for ids in example.values()))
    return tokenizer.convert_ids_to_tokens(next(i for i in range(len(tokenizer)) if i not in used))


def _save(trainer: Any, model: ResolvedModel, directory: Path) -> None:
    """Save what ``quality.reward_model`` loads, with the tokenizer's original padding."""
    import torch

    from persyn_kedro.foundations.models.load import load_tokenizer

    shutil.rmtree(directory, ignore_errors=True)
    classifier = trainer.accelerator.unwrap_model(trainer.model)
    classifier.to(getattr(torch, model.settings.dtype)).save_pretrained(directory)
    load_tokenizer(model).save_pretrained(directory)
