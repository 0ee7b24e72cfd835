"""The student before and after: accuracy on test prompts, NLL of withheld responses."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from persyn_kedro.domain.intervals.shares import mean_t, newcombe_paired, wilson

VERSION = 1  # raise it when the same inputs give another result


def accuracy_summary(
    before: Sequence[float | None], after: Sequence[float | None], confidence: float
) -> dict[str, Any]:
    """Return exact-match accuracy before and after, over the same prompts.

    Prompts whose quality is unknown (None) before or after are left out and counted.
    """
    pairs = [(b, a) for b, a in zip(before, after, strict=True) if b is not None and a is not None]
    sides = _sides(pairs)
    return {
        **_summary(pairs, confidence),
        "before_interval": wilson(sum(sides[0]), len(pairs), confidence),
        "after_interval": wilson(sum(sides[1]), len(pairs), confidence),
        "difference_interval": newcombe_paired(*sides, confidence),
        "unknown": len(before) - len(pairs),
    }


def nll_summary(
    before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], confidence: float
) -> dict[str, Any]:
    """Return the mean over responses of NLL per token (nats), before and after.

    Args:
        before: rows of ``schemas.TOKEN_STATISTICS``; ``after`` has the same responses.
    """
    first, second = _nll_by_response(before), _nll_by_response(after)
    pairs = [(first[key], second[key]) for key in first if key in second]
    sides = _sides(pairs)
    return {
        **_summary(pairs, confidence),
        "before_interval": mean_t(sides[0], confidence),
        "after_interval": mean_t(sides[1], confidence),
        "difference_interval": mean_t([a - b for b, a in pairs], confidence),
    }


def _nll_by_response(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {
        row["response_key"]: -row["sum_logp"] / row["tokens"]
        for row in rows
        if row["tokens"] and row["sum_logp"] is not None
    }


def _sides(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [b for b, _ in pairs], [a for _, a in pairs]


def _summary(pairs: Sequence[tuple[float, float]], confidence: float) -> dict[str, Any]:
    before, after = _sides(pairs)
    return {
        "n": len(pairs),
        "confidence": confidence,
        "before": _mean(before),
        "after": _mean(after),
        "difference": _mean([a - b for b, a in pairs]),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
