"""Direct preference optimisation of the fine-tuned student with TRL, on our own rendering's ids."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persyn_kedro.domain.student.adapters import frozen_identity, load_trained, lora_config
from persyn_kedro.domain.student.arguments import dpo_arguments
from persyn_kedro.domain.student.saving import save_student
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.models.float32_training import train_with_float32_products
from persyn_kedro.foundations.models.rendering import render
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes.group import Group
from persyn_kedro.foundations.progress.training import train
from persyn_kedro.foundations.settings.marks import lasting
from persyn_kedro.foundations.settings.student import DpoSettings
from persyn_kedro.foundations.storage.checkpoints import checkpoints_of, newest_checkpoint

VERSION = 1  # raise it when the same inputs give another result

_CURVE = {  # by name in the curve, TRL's
    "step": "step",
    "epoch": "epoch",
    "loss": "loss",
    "learning_rate": "learning_rate",
    "accuracy": "rewards/accuracies",
    "margin": "rewards/margins",
}


def prefer_job(
    pairs: list[dict[str, Any]],
    student: ResolvedModel,
    settings: DpoSettings,
    seed: int,
    workspace: Path,
) -> Iterator[dict[str, Any]]:
    """Train on ``pairs`` (prompt, chosen, rejected), save to ``workspace/model``, yield the curve.

    The first item is ``{"left_out": n}``: pairs with more than ``settings.max_length`` tokens on
    either side. Then, per optimizer step, loss and learning rate, and over its pairs the share
    whose chosen answer has become likelier, against the student before, than the rejected one
    (``accuracy``), and by how much (``margin``, in nats times beta). Runs in a child process; a
    killed training goes on from its newest checkpoint.

    Raises:
        PersynError: no pair is short enough.
    """
    from persyn_kedro.foundations.models.load import load_tokenizer

    tokenizer = load_tokenizer(student)
    examples = pair_examples(tokenizer, pairs, settings.max_length)
    if not examples:
        raise PersynError(f"No preference fits in dpo.max_length = {settings.max_length}.")
    yield {"left_out": len(pairs) - len(examples)}
    identity = {
        "pairs": settings_id({"examples": examples}),
        "weights_id": student.weights_id,
        "settings": lasting(settings),
        "seed": seed,
        **frozen_identity(settings, student.settings.dtype),
    }
    checkpoints = checkpoints_of(workspace, settings_id(identity), VERSION)
    trainer = _trainer(examples, tokenizer, student, settings, seed, checkpoints)
    train(trainer, "training on preferences", newest_checkpoint(checkpoints))
    save_student(trainer, tokenizer, student, settings, workspace / "model", Group())
    for entry in trainer.state.log_history:
        if "loss" in entry:
            yield {name: entry[theirs] for name, theirs in _CURVE.items()}


def pair_examples(
    tokenizer: Any, pairs: list[dict[str, Any]], max_length: int
) -> list[dict[str, list[int]]]:
    """Return ``prompt_ids``, ``chosen_ids`` and ``rejected_ids`` of the pairs that fit.

    An answer's ids are those that fine-tuning has its loss on: the text and the end of the turn.
    """
    found = []
    for pair in pairs:
        sides = {}
        for side in ("chosen", "rejected"):
            rendered = render(tokenizer, None, pair["prompt"], pair[side])
            start = rendered.completion_mask.index(1)
            prompt, answer = rendered.input_ids[:start], rendered.input_ids[start:]
            sides[side] = {"prompt_ids": prompt, f"{side}_ids": answer}
        lengths = [sum(map(len, side.values())) for side in sides.values()]
        if max(lengths) <= max_length:
            found.append({**sides["rejected"], **sides["chosen"]})
    return found


def _trainer(
    examples: list[dict[str, list[int]]],
    tokenizer: Any,
    student: ResolvedModel,
    settings: DpoSettings,
    seed: int,
    checkpoints: Path,
) -> Any:
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback
    from trl import DPOTrainer

    class PairsTrainer(DPOTrainer):
        """``DPOTrainer`` on ids that are ready."""

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

        def _precompute_ref_logps(self, dataset: Any, *more: Any) -> Any:
            """Keep the file of likelihoods beside the checkpoints: a child leaves its /tmp."""
            dataset._get_cache_file_path = lambda name: str(checkpoints / f"reference-{name}.arrow")
            return super()._precompute_ref_logps(dataset, *more)

    trainer = PairsTrainer(
        model=load_trained(student, settings, 1),
        args=dpo_arguments(settings, seed, checkpoints, len(examples)),
        train_dataset=Dataset.from_list(examples),
        processing_class=tokenizer,
        peft_config=lora_config(settings.lora) if settings.lora else None,
    )
    train_with_float32_products(trainer)
    trainer.remove_callback(PrinterCallback)  # prints a line per step; the curve has them all
    return trainer
