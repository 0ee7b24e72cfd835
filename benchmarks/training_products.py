"""Processor time of a training step of SmolLM2 with products in float32 and in bfloat16.

    .venv/bin/python benchmarks/training_products.py

For a processor without instructions for bfloat16: processor time of one thread, so that other work
on the machine counts little. ``off``: the gradients' distance from float32's, relative to these.
"""

import copy
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import measuring

EXACT = "float32"


def main() -> None:
    """Time the ways in turn, in one process; the first turn is a warm-up."""
    args = measuring.arguments(__doc__, repeats=2, tokens={"type": int, "default": 256})
    import torch

    torch.set_num_threads(1)
    ways = steps(args.tokens)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, Any] = {}
    for turn in range(args.repeats + 1):
        for name, way in ways.items():
            start = time.process_time()
            found[name] = way()
            if turn:
                seconds[name].append(time.process_time() - start)
    rows = measuring.compared(seconds, "bfloat16_autocast")
    exact = found[EXACT]
    for row in rows:
        row["off"] = float((found[row["way"]] - exact).norm() / exact.norm())
    measuring.report("training_products", rows, tokens_a_step=args.tokens)


def steps(tokens: int) -> dict[str, Callable[[], Any]]:
    """Return forward and backward passes that return all gradients, by way."""
    import torch

    from persyn_kedro.foundations.models import float32_training
    from persyn_kedro.foundations.models.load import load_causal_lm
    from persyn_kedro.foundations.models.resolve import resolve_model
    from persyn_kedro.foundations.settings.models import ModelSettings

    student = resolve_model("student", ModelSettings(zoo="smollm2"))
    model = load_causal_lm(student, "float32").train()
    ids = torch.randint(0, 40_000, (2, tokens // 2), generator=torch.Generator().manual_seed(1))
    ours = copy.deepcopy(model)
    arguments = SimpleNamespace(bf16=True, device=torch.device("cpu"))
    float32_training.train_with_float32_products(SimpleNamespace(model=ours, args=arguments))

    def step(of: Any, autocast: bool) -> Any:
        of.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            loss = of(input_ids=ids, labels=ids).loss
        loss.backward()
        return torch.cat([p.grad.flatten() for p in of.parameters() if p.grad is not None])

    return {
        "bfloat16_autocast": lambda: step(model, True),
        "ours": lambda: step(ours, True),
        EXACT: lambda: step(model, False),
    }


if __name__ == "__main__":
    main()
