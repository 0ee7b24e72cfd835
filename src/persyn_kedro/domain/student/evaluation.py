"""The student before and after: accuracy on test prompts, NLL of withheld responses."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from persyn_kedro.domain.student.intervals import mean_t, wilson

Interval = tuple[float, float] | None


def accuracy_summary(
    before: Sequence[float | None], after: Sequence[float | None], confidence: float
) -> dict[str, Any]:
    """Return exact-match accuracy before and after over the same prompts.

    Prompts whose quality is unknown (None) before or after are left out and counted.
    """
    pairs = [(b, a) for b, a in zip(before, after, strict=True) if b is not None and a is not None]
    summary = _summary(
        pairs, lambda values: wilson(sum(values), len(values), confidence), confidence
    )
    return {**summary, "unknown": len(before) - len(pairs)}


def nll_summary(
    before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], confidence: float
) -> dict[str, Any]:
    """Return the mean over responses of NLL a token (nats), before and after.

    Args:
        before: rows of ``schemas.TOKEN_STATISTICS``; ``after`` holds the same responses.
    """
    first, second = _nll_by_response(before), _nll_by_response(after)
    pairs = [(first[key], second[key]) for key in first if key in second]
    return _summary(pairs, lambda values: mean_t(values, confidence), confidence)


def _nll_by_response(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {
        row["response_key"]: -row["sum_logp"] / row["tokens"]
        for row in rows
        if row["tokens"] and row["sum_logp"] is not None
    }


def _summary(
    pairs: Sequence[tuple[float, float]],
    interval: Callable[[list[float]], Interval],
    confidence: float,
) -> dict[str, Any]:
    sides = {"before": [b for b, _ in pairs], "after": [a for _, a in pairs]}
    differences = [a - b for b, a in pairs]
    return {
        "n": len(pairs),
        "confidence": confidence,
        **{side: _mean(values) for side, values in sides.items()},
        **{f"{side}_interval": interval(values) for side, values in sides.items()},
        "difference": _mean(differences),
        "difference_interval": mean_t(differences, confidence),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
