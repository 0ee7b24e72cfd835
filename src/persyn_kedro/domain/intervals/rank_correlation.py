"""Spearman's rank correlation and its interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from persyn_kedro.domain.intervals.bootstrap import estimate, resampled_counts

VERSION = 1  # raise it when the same inputs give another result

LEAST = 4  # pairs for an interval


def spearman(x: Sequence[float], y: Sequence[float], confidence: float) -> dict[str, Any] | None:
    """Return ``{"value", "interval", "n"}`` of paired values; None if either does not vary.

    The interval is Bonett and Wright's (Psychometrika 65, 2000): Fisher's z with a standard error
    of sqrt((1 + rho^2 / 2) / (n - 3)). It is None for fewer than ``LEAST`` pairs. A perfect
    correlation, whose z is infinite, is counted as half a step less: the next lower one is
    1 - 12 / (n^3 - n).
    """
    from scipy.stats import norm, spearmanr

    n = len(x)
    if n < 2 or len(set(x)) < 2 or len(set(y)) < 2:
        return None
    rho = float(spearmanr(x, y).statistic)
    interval = None
    if n >= LEAST:
        most = 1 - 6 / (n**3 - n)
        inner = float(np.clip(rho, -most, most))
        reach = norm.ppf(0.5 + confidence / 2) * np.sqrt((1 + inner**2 / 2) / (n - 3))
        low, high = np.tanh(np.arctanh(inner) + np.array([-reach, reach]))
        interval = [float(min(low, rho)), float(max(high, rho))]
    return {"value": rho, "interval": interval, "n": n}


def spearman_over_prompts(
    x: np.ndarray,
    y: np.ndarray,
    prompts: np.ndarray,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Any] | None:
    """Return ``spearman`` of (n,) answers' values, with a bootstrap interval over prompts.

    Draws in which either does not vary are left out.

    Args:
        prompts: (n,) int, the number of each answer's prompt.
    """
    found = spearman(x.tolist(), y.tolist(), confidence)
    if found is None:
        return None
    prompts = np.unique(prompts, return_inverse=True)[1]
    drawn = resampled_counts(prompts.max() + 1, resamples, seed)
    places = [np.unique(values, return_inverse=True)[1] for values in (x, y)]
    draws = np.array(
        [_weighted(places[0], places[1], own[prompts]) for counts in drawn for own in counts]
    )
    shown = estimate(found["value"], draws[np.isfinite(draws)], confidence)
    return {**found, "interval": [shown.low, shown.high]}


def spearman_within(x: np.ndarray, y: np.ndarray, prompts: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation within each prompt in which both vary, in their order.

    Args:
        x: (n,) values of answers; ``y``: likewise.
        prompts: (n,) int, the number of each answer's prompt.
    """
    order = np.argsort(prompts, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(prompts[order])) + 1)
    found = [spearman(x[own].tolist(), y[own].tolist(), 0.95) for own in groups]
    return np.array([each["value"] for each in found if each is not None])


def _weighted(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """Return Spearman's correlation of values that are there ``weights`` times; NaN if constant.

    Args:
        x: (n,) int, each value's place among the distinct ones, from 0; ``y``: likewise.
    """
    total = weights.sum()
    ranks = []
    for places in (x, y):
        times = np.bincount(places, weights=weights)
        rank = (np.cumsum(times) - times / 2)[places]
        ranks.append(rank - (weights @ rank) / total)
    square = (weights @ ranks[0] ** 2) * (weights @ ranks[1] ** 2)
    return float((weights * ranks[0]) @ ranks[1] / np.sqrt(square)) if square > 0 else np.nan
