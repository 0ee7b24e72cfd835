"""Tokens per second of fine-tuning the student, against TRL with its defaults (padding).

    .venv/bin/python benchmarks/sft.py

Both have the same rows of mixed length, data type, checkpointing, optimizer, batches and seed. The
losses of the first turn must agree before anything is timed. Loading is excluded.
"""

import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring
from scoring import WORDS

CASES: dict[str, dict[str, Any]] = {
    "full": {"precision": "bfloat16_autocast", "learning_rate": 1e-5},
    "LoRA": {"precision": "bfloat16", "learning_rate": 5e-4, "lora": {"rank": 16, "alpha": 32}},
}


def rows(count: int) -> list[dict[str, str]]:
    """Return rows of 20 to 200 words of response."""
    draw = random.Random(1)  # noqa: S311 - not a secret
    return [
        {
            "prompt": " ".join(draw.choices(WORDS, k=draw.randint(20, 60))),
            "response": " ".join(draw.choices(WORDS, k=draw.randint(20, 200))),
        }
        for _ in range(count)
    ]


def trained(packs: bool, count: int, case: dict[str, Any]) -> tuple[Callable, Callable]:
    """Return a function that builds a trainer, and one that trains and returns the losses."""
    from persyn_kedro.domain.student import sft
    from persyn_kedro.foundations.models.load import load_tokenizer
    from persyn_kedro.foundations.models.resolve import resolve_model
    from persyn_kedro.foundations.settings.models import ModelSettings
    from persyn_kedro.foundations.settings.student import SftSettings

    if not packs:
        sft.packable = lambda model: False
    model = resolve_model("smollm2", ModelSettings(zoo="smollm2"))
    tokenizer = load_tokenizer(model)
    settings = SftSettings(epochs=1, batch_size=8, gradient_accumulation=1, **case)
    examples = sft.training_examples(tokenizer, rows(count), None, 1024)
    built: list[Any] = []

    def prepare() -> None:
        place = Path(tempfile.mkdtemp())
        built[:] = [sft._trainer(examples, tokenizer, model, settings, 1, place)]
        built[0].args.save_strategy = "no"

    def work() -> list[float]:
        built[0].train()
        return [entry["loss"] for entry in built[0].state.log_history if "loss" in entry]

    return prepare, work


def tokens(count: int) -> int:
    """Return the number of tokens in an epoch."""
    from persyn_kedro.domain.student.sft import training_examples
    from persyn_kedro.foundations.models.load import load_tokenizer
    from persyn_kedro.foundations.models.resolve import resolve_model
    from persyn_kedro.foundations.settings.models import ModelSettings

    tokenizer = load_tokenizer(resolve_model("smollm2", ModelSettings(zoo="smollm2")))
    return sum(len(e["input_ids"]) for e in training_examples(tokenizer, rows(count), None, 1024))


def check(results: dict[str, list[float]]) -> None:
    """Raise unless the losses agree up to bfloat16's rounding."""
    for ours, theirs in zip(results["ours, packed"], results["TRL, padded"], strict=True):
        if not abs(ours - theirs) <= 0.02 * theirs:  # so that NaN is refused
            raise SystemExit(f"the losses differ: {ours} and {theirs}")


def main() -> None:
    """Time both ways, for full-parameter and LoRA training."""
    args = measuring.arguments(__doc__, rows={"type": int, "default": 24})
    count = tokens(args.rows)
    found = []
    for name, case in CASES.items():
        ways: dict[str, Any] = {
            "ours, packed": (trained, (True, args.rows, case)),
            "TRL, padded": (trained, (False, args.rows, case)),
        }
        seconds = measuring.alternate_processes(ways, args.repeats, check)
        for row in measuring.compared(seconds, "TRL, padded", count, "tokens/s"):
            found.append({"training": name, **row})
    measuring.report("sft", found)


if __name__ == "__main__":
    main()
