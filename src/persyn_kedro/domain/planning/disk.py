"""How much room a run will take on the disk, by item, in bytes; None where it is not known."""

from collections.abc import Mapping, Sequence
from typing import Any

from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.steps import SftSettings

BYTES_A_TOKEN = 5  # of an answer's text with its row, about
COPIES = 3  # an answer lies in the store, in its step's table and in the training set
CONVERTED = 4  # bfloat16 safetensors over the 4 to 8 bits of a zoo model's file, with that file


def disk_needed(
    models: Models,
    absent: Sequence[str],
    student: ResolvedModel | None,
    sft: SftSettings,
    completion_tokens: float,
) -> dict[str, float | None]:
    """Return bytes of what is yet to be written.

    ``models to fetch`` is None if a hub's or a GGUF file's model is among them: their sizes are not
    known here. The student counts as saved once, beside one checkpoint with AdamW's two moments in
    float32 while it trains (LoRA: the merged student alone).
    """
    return {
        "models to fetch": _to_fetch(models, absent),
        "student": None if student is None else _weights(student),
        "checkpoint while training": None if student is None else _checkpoint(student, sft),
        "answers": COPIES * BYTES_A_TOKEN * completion_tokens,
    }


def _to_fetch(models: Models, absent: Sequence[str]) -> float | None:
    from persyn_kedro.foundations.models.zoo import zoo_model

    total = 0.0
    for name in absent:
        settings = models.root[name]
        if settings.random:
            continue  # tiny
        if not settings.zoo:
            return None
        total += CONVERTED * zoo_model(settings.zoo).megabytes * 1e6
    return total


def _weights(model: ResolvedModel) -> float:
    return float(sum(path.stat().st_size for path in model.directory.glob("*.safetensors")))


def _checkpoint(student: ResolvedModel, sft: SftSettings) -> float:
    if sft.lora:
        return 0.0
    parameters = _weights(student) / 2  # bfloat16
    kept = 2 if sft.precision == "bfloat16" else 4
    return 3 * kept * parameters


def total_bytes(items: Mapping[str, Any]) -> float:
    """Return the sum of what is known."""
    return float(sum(size or 0.0 for size in items.values()))
