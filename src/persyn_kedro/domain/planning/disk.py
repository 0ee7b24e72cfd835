"""How much disk space a run will need, by item, in bytes; None if unknown."""

from collections.abc import Mapping, Sequence
from typing import Any

from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.student import SftSettings

BYTES_A_TOKEN = 5  # approximate, for an answer's text and its row
COPIES = 3  # an answer is in the store, its step's table and the training set
CONVERTED = 4  # bfloat16 safetensors plus the file, relative to its 4 to 8 bits


def disk_needed(
    models: Models,
    absent: Sequence[str],
    student: ResolvedModel | None,
    sft: SftSettings,
    completion_tokens: float,
) -> dict[str, float | None]:
    """Return the bytes still to be written.

    ``models to fetch`` is None if it includes a model from a hub or a GGUF file, whose size is
    unknown here. The student counts as one saved model, plus one checkpoint with AdamW's two
    moments in float32 during training (with LoRA: only the merged student).
    """
    return {
        "models to fetch": _to_fetch(models, absent),
        "student": None if student is None else _weights(student),
        "checkpoint while training": None if student is None else _checkpoint(student, sft),
        "answers": COPIES * BYTES_A_TOKEN * completion_tokens,
    }


def _to_fetch(models: Models, absent: Sequence[str]) -> float | None:
    from persyn_kedro.foundations.models.zoo import zoo_model
    from persyn_kedro.foundations.models.zoo_source import chosen_commit

    total = 0.0
    for name in absent:
        settings = models.root[name]
        if settings.random:
            continue  # tiny
        if not settings.zoo or chosen_commit(settings.zoo):
            return None  # the hub's
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
    """Return the sum of the known items."""
    return float(sum(size or 0.0 for size in items.values()))
