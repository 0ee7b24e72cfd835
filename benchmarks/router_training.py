"""Seconds of one epoch of router training (K = 19, language model with a coefficient head).

    .venv/bin/python benchmarks/router_training.py

Compared with a loop with one forward per pair, as in pair-wise trainers (timed on a sample of the
prompts), and with a bare forward-backward of the backbone over the prompts, in the same padded
batches. Loss and gradient of the first batch must equal the pair loop's before anything is timed.
"""

import random
from collections.abc import Callable
from typing import Any

import measuring
from scoring import WORDS

K = 19
BATCH = 8
PAIRS = K * (K - 1) // 2


def prompts(count: int) -> list[str]:
    """Return short prompts of 15 to 60 words."""
    draw = random.Random(1)  # noqa: S311 - not a secret
    return [" ".join(draw.choices(WORDS, k=draw.randint(15, 60))) for _ in range(count)]


def _router() -> Any:
    from persyn_kedro.domain.routers.language_model.router import LanguageModelRouter
    from persyn_kedro.foundations.models.resolve import resolve_model
    from persyn_kedro.foundations.settings.models import ModelSettings
    from persyn_kedro.foundations.settings.routers import TrainRouterSettings

    settings = TrainRouterSettings(
        kind="language_model", epochs=1, batch_size=BATCH, learning_rate=1e-9, weight_decay=0.0
    )
    backbone = resolve_model("smollm2", ModelSettings(zoo="smollm2"))
    router = LanguageModelRouter(backbone, settings, 1)
    router.n_teachers_ = K
    router._load_modules(K)
    router._load_modules = lambda count: None  # loading is not timed
    return router


def _rewards(count: int) -> Any:
    import numpy as np

    return np.random.default_rng(1).random((count, K))


def ours(count: int) -> Callable[[], Any]:
    """One epoch as the product trains it: with the loss over all pairs, clipping and AdamW."""
    router, rewards = _router(), _rewards(count)
    return lambda: [epoch["loss"] for epoch in router.fit_valid(prompts(count), rewards)]


def bare(count: int) -> Callable[[], Any]:
    """A forward-backward of the backbone, in unsorted padded batches; no optimizer."""
    import torch
    from transformers import AutoModel

    router = _router()
    ids = router._encode(prompts(count))
    model = AutoModel.from_pretrained(router.backbone.directory, dtype=torch.float32)
    model.to(router._model.device).train()

    def work() -> None:
        for start in range(0, count, BATCH):
            states, mask = _padded(model, ids[start : start + BATCH])
            last = states[torch.arange(len(states)), mask.sum(dim=1) - 1]
            last.square().mean().backward()
            model.zero_grad(set_to_none=True)

    return work


def _padded(model: Any, ids: list[list[int]]) -> tuple[Any, Any]:
    import torch
    from torch.nn.utils.rnn import pad_sequence

    rows = [torch.tensor(row, device=model.device) for row in ids]
    padded = pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in ids], device=model.device)
    mask = (torch.arange(padded.shape[1], device=model.device) < lengths[:, None]).long()
    return model(input_ids=padded, attention_mask=mask, use_cache=False)[0], mask


def _middling(ids: list[list[int]], count: int) -> list[list[int]]:
    """Return the ``count`` prompts closest to the mean length, as a sample of all."""
    mean = sum(map(len, ids)) / len(ids)
    return sorted(ids, key=lambda row: abs(len(row) - mean))[:count]


def pair_loop(count: int, sample: int) -> Callable[[], Any]:
    """One forward per pair: a batch contains the same prompt once for each of its pairs.

    Clipping and AdamW after each batch, as in our epoch and in pair-wise trainers.
    """
    import torch
    from transformers import AutoModel

    router = _router()
    ids = _middling(router._encode(prompts(count)), sample)
    model = AutoModel.from_pretrained(router.backbone.directory, dtype=torch.float32)
    model.to(router._model.device).train()
    pairs = [(a, b) for a in range(K) for b in range(a + 1, K)]
    parameters = [*model.parameters(), *router._head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-9, weight_decay=0.0, fused=True)

    def work() -> None:
        for row in ids:
            for start in range(0, PAIRS, BATCH):
                some = pairs[start : start + BATCH]
                states, mask = _padded(model, [row] * len(some))
                scores = router._head(states[torch.arange(len(states)), mask.sum(dim=1) - 1])
                a, b = (
                    torch.tensor(side, device=scores.device) for side in zip(*some, strict=True)
                )
                at = torch.arange(len(some), device=scores.device)
                torch.nn.functional.softplus(scores[at, a] - scores[at, b]).mean().backward()
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)

    return work


def check_equal() -> None:
    """Raise unless one batch's loss and gradient equal those of a loop over its pairs."""
    import torch

    from persyn_kedro.domain.routers.losses import loss_of

    router = _router()
    torch.nn.init.normal_(router._head.weight, std=0.02)
    place = router._model.device
    ids, rewards = router._encode(prompts(3)), torch.tensor(_rewards(3), device=place)
    parameters = [*router._model.parameters(), *router._head.parameters()]
    loss = loss_of(router.settings)(router._head(router._states(ids)), rewards)
    gradient = torch.autograd.grad(loss, parameters)
    total, summed = 0.0, [torch.zeros_like(p) for p in parameters]
    for row, reward in zip(ids, rewards, strict=True):
        own = torch.tensor([row], device=place)
        whole = ((0, len(row), 0, 0),)
        states = router._model(input_ids=own, use_cache=False, segments=whole)[0]
        scores = router._head(states[0, -1])
        for a in range(K):
            for b in range(a + 1, K):
                sign = 1.0 if reward[b] > reward[a] else -1.0
                one = torch.nn.functional.softplus(-sign * (scores[b] - scores[a]))
                total += one.item() / (3 * PAIRS)
        losses = [
            torch.nn.functional.softplus(
                -(1.0 if reward[b] > reward[a] else -1.0) * (scores[b] - scores[a])
            )
            for a in range(K)
            for b in range(a + 1, K)
        ]
        for kept, new in zip(summed, torch.autograd.grad(sum(losses), parameters), strict=True):
            kept += new / (3 * PAIRS)
    worst = max(
        float((g - s).norm() / (s.norm() + 1e-12)) for g, s in zip(gradient, summed, strict=True)
    )
    if not (abs(loss.item() - total) <= 1e-5 and worst <= 1e-3):  # so that NaN is refused
        raise SystemExit(f"loss {loss.item()} and {total}, gradients off by {worst:.1e}")


def main() -> None:
    """Time the three ways, the pair loop on a sample of the prompts."""
    args = measuring.arguments(
        __doc__, prompts={"type": int, "default": 32}, sample={"type": int, "default": 1}
    )
    check_equal()
    ways: dict[str, Any] = {
        "ours, one epoch": (ours, (args.prompts,)),
        "bare forward-backward": (bare, (args.prompts,)),
        "one forward per pair": (pair_loop, (args.prompts, args.sample)),
    }
    seconds = measuring.alternate_processes(ways, args.repeats, lambda results: None)
    scale = args.prompts / args.sample
    seconds["one forward per pair"] = [s * scale for s in seconds["one forward per pair"]]
    rows = measuring.compared(seconds, "bare forward-backward", args.prompts, "prompts/s")
    to_pairs = measuring.compared(seconds, "one forward per pair")[0]["ratio"]
    measuring.report(
        "router_training", rows,
        **{"ours over one forward per pair": to_pairs, "K(K-1)/2": PAIRS,
           "share of K(K-1)/2": to_pairs / PAIRS, "prompts of the pair loop": args.sample},
    )  # fmt: skip


if __name__ == "__main__":
    main()
