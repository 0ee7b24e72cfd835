"""Tokens a second of fine-tuning SmolLM2, full-parameter and LoRA, side by side in one run.

    .venv/bin/python benchmarks/sft_speed.py

Ratios to the first line are what counts: machines differ. The examples are made here (sums and
their answers), since speed hangs on their lengths alone.
"""

import shutil
import tempfile
import time
from pathlib import Path

from persyn_kedro.domain.student.sft import train_student_job, training_examples
from persyn_kedro.foundations.child_process import run_in_child
from persyn_kedro.foundations.loading import load_tokenizer
from persyn_kedro.foundations.parameters import LoraSettings, ModelSettings, SftSettings
from persyn_kedro.foundations.weights import resolve_model

LORA = LoraSettings(rank=16, alpha=32)
CASES: dict[str, dict] = {
    "full, bfloat16 autocast": {"precision": "bfloat16_autocast"},
    "full, float32": {"precision": "float32"},
    "LoRA, bfloat16 autocast": {"precision": "bfloat16_autocast", "lora": LORA},
    "LoRA, bfloat16": {"precision": "bfloat16", "lora": LORA},
}


def rows(count: int) -> list[dict[str, str]]:
    """Return sums with worked answers of 30 to 60 tokens."""
    return [
        {
            "prompt": f"Solve {i} + {3 * i} - {i % 7}. Put the final answer in \\boxed{{}}.",
            "response": f"First {i} + {3 * i} = {4 * i}. Then {4 * i} - {i % 7} = {4 * i - i % 7}. "
            f"The final answer is \\boxed{{{4 * i - i % 7}}}.",
        }
        for i in range(11, 11 + count)
    ]


def main() -> None:
    """Train one epoch in each way and print tokens a second, loading left out."""
    model = resolve_model("smollm2", ModelSettings(zoo="smollm2"))
    few, many = rows(8), rows(40)
    tokenizer = load_tokenizer(model)
    lengths = [
        sum(len(e["input_ids"]) for e in training_examples(tokenizer, r, None, 512))
        for r in (few, many)
    ]
    first = None
    for name, case in CASES.items():
        seconds = []
        for examples in (few, many):
            workspace = Path(tempfile.mkdtemp())
            settings = SftSettings(epochs=1, batch_size=2, gradient_accumulation=4, **case)
            start = time.monotonic()
            work = run_in_child(
                train_student_job, examples, model, None, settings, 1, workspace, label=name
            )
            list(work)
            seconds.append(time.monotonic() - start)
            shutil.rmtree(workspace)
        speed = (lengths[1] - lengths[0]) / (seconds[1] - seconds[0])
        first = first or speed
        print(f"{name}: {speed:.0f} tokens/s, {speed / first:.2f} times the first", flush=True)


if __name__ == "__main__":
    main()
