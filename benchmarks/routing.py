"""Prompts per second of routing, against a bare batched forward of the backbone.

    .venv/bin/python benchmarks/routing.py

The language-model router's scores, from text to numbers, including the tokenizer; the bare forward
gets token ids, in padded batches. The scores of both must agree before they are timed.
"""

from collections.abc import Callable
from typing import Any

import measuring
from router_training import K, _padded, _router, prompts

BATCH = 16


def ours(count: int) -> Callable[[], list[list[float]]]:
    """Scores of all prompts as the pipeline ``route`` gets them."""
    import torch

    router = _router()
    torch.manual_seed(1)
    torch.nn.init.normal_(router._head.weight, std=0.02)
    router._model.eval()
    texts = prompts(count)
    return lambda: [r.tolist() for batch in router.score_batches(texts, BATCH) for r in batch]


def bare(count: int) -> Callable[[], list[list[float]]]:
    """The backbone's forward on padded batches of token ids, and the head."""
    import torch
    from transformers import AutoModel

    router = _router()
    torch.manual_seed(1)
    torch.nn.init.normal_(router._head.weight, std=0.02)
    ids = router._encode(prompts(count))
    model = AutoModel.from_pretrained(router.backbone.directory, dtype=torch.float32)
    model.to(router._model.device).eval()

    def work() -> list[list[float]]:
        found: list[list[float]] = []
        with torch.inference_mode():
            for start in range(0, count, BATCH):
                states, mask = _padded(model, ids[start : start + BATCH])
                last = states[torch.arange(len(states)), mask.sum(dim=1) - 1]
                found += router._head(last).tolist()
        return found

    return work


def check(results: dict[str, Any]) -> None:
    """Raise unless the scores agree."""
    pairs = zip(*results.values(), strict=True)
    worst = max(abs(a - b) for x, y in pairs for a, b in zip(x, y, strict=True))
    if not worst <= 1e-3:  # so that NaN is refused
        raise SystemExit(f"the scores differ by {worst:.1e}")


def main() -> None:
    """Time both."""
    args = measuring.arguments(__doc__, prompts={"type": int, "default": 160})
    ways: dict[str, Any] = {
        "ours": (ours, (args.prompts,)),
        "bare forward": (bare, (args.prompts,)),
    }
    seconds = measuring.alternate_processes(ways, args.repeats, check)
    rows = measuring.compared(seconds, "bare forward", args.prompts, "prompts/s")
    measuring.report("routing", rows, teachers=K)


if __name__ == "__main__":
    main()
