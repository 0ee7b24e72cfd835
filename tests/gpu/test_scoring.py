"""Scoring packed responses gives what a plain forward pass on the CPU gives each of them."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from persyn_kedro.domain.learnability.statistics import token_statistics
from persyn_kedro.foundations.models.load import load_causal_lm, load_tokenizer
from persyn_kedro.foundations.models.rendering import render
from persyn_kedro.foundations.models.resolve import ResolvedModel
from tests.gpu.reference_kernel import ReferenceKernel

REQUESTS = [
    (f"{i}-{k}", f"What is {i} times {i}? " * (1 + i % 3), f"It is {i * i}, of course. " * (1 + k))
    for i in range(6)
    for k in range(3)
]


def plain(model: Any, tokenizer: Any) -> Iterator[dict[str, float]]:
    """The same statistics, one by one, written down anew; all responses have ASCII bytes."""
    for _, prompt, response in REQUESTS:
        rendered = render(tokenizer, None, prompt, response)
        with torch.no_grad():
            logits = model(torch.tensor([rendered.prompt_ids + rendered.response_ids])).logits[0]
        logp = logits[len(rendered.prompt_ids) - 1 : -1].float().log_softmax(-1)
        true = logp.gather(1, torch.tensor(rendered.response_ids)[:, None])
        yield {
            "tokens": len(true),
            "sum_logp": true.sum().item(),
            "sum_p2": logp.exp().square().sum().item(),
            "sum_p_true": true.exp().sum().item(),
            "sum_rank_100": (1 + (logp > true).sum(1)).clamp(max=100).sum().item(),
        }


def test_in_float32_the_statistics_are_those_of_one_by_one(
    device: str, float32_model: ResolvedModel
) -> None:
    wanted = plain(load_causal_lm(float32_model, place="cpu"), load_tokenizer(float32_model))
    found = list(token_statistics(REQUESTS, float32_model, None, pack_tokens=700))
    for row, exact in zip(found, wanted, strict=True):
        ranks = row.pop("sum_rank_100"), exact.pop("sum_rank_100")
        assert abs(ranks[0] - ranks[1]) <= 0.01 * ranks[1]  # near ties
        assert {key: row[key] for key in exact} == pytest.approx(exact, rel=1e-4)


def test_in_bfloat16_they_are_off_no_more_than_one_by_one_is(
    device: str,
    kernel: ReferenceKernel,
    float32_model: ResolvedModel,
    bfloat16_model: ResolvedModel,
) -> None:
    def means(model: ResolvedModel, pack_tokens: int) -> list[float]:
        rows = token_statistics(REQUESTS, model, None, pack_tokens=pack_tokens)
        return [row["sum_logp"] / row["tokens"] for row in rows]

    exact, alone = means(float32_model, 1), means(bfloat16_model, 1)
    kernel.calls = 0
    packed = means(bfloat16_model, 700)
    assert kernel.calls
    off = [sum(abs(a - b) for a, b in zip(way, exact, strict=True)) for way in (alone, packed)]
    assert 0 < off[1] < 2 * off[0] + 0.002 * len(exact)
