"""How much another reward changes which teacher is the best (METHOD.md, "Which signal?")."""

from typing import Any

import numpy as np

from persyn_kedro.domain.rewards.reward import TIE, comparable

VERSION = 2  # raise it when the same inputs give another result


def best_teachers(rewards: np.ndarray) -> np.ndarray:
    """Return (n,) the first teacher of the highest of (n, K) rewards, -1 without a valid one."""
    known = np.where(np.isfinite(rewards), rewards, -np.inf)
    top = known.max(axis=1)
    return np.where(np.isfinite(top), (known >= top[:, None] - TIE).argmax(axis=1), -1)


def rank_agreement(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return (n,) Kendall's tau-b of two (n, K) rewards within each prompt.

    Over the pairs of teachers that are valid in both; NaN where either is tied throughout.
    """
    first, second = np.triu_indices(a.shape[1], 1)
    signs = []
    for rewards in (a, b):
        known = np.where(np.isfinite(rewards), rewards, np.nan)  # not asked is no low reward
        difference = known[:, first] - known[:, second]
        signs.append(np.where(np.abs(difference) > TIE, np.sign(difference), 0.0 * difference))
    both = np.isfinite(signs[0]) & np.isfinite(signs[1])
    x, y = (np.where(both, sign, 0.0) for sign in signs)
    scale = np.sqrt(np.abs(x).sum(axis=1) * np.abs(y).sum(axis=1))
    return np.divide((x * y).sum(axis=1), scale, out=np.full(len(a), np.nan), where=scale > 0)


def compare_choices(own: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """Return how the choices by ``other`` differ from those by ``own``, both (n, K) rewards.

    Returns:
        dict: ``prompts`` with two valid teachers under both; the share of them whose best teacher
            is another, ``changed``; the mean ``agreement`` of the ranks; each teacher's share of
            the prompts of which it is the best, ``shares``. None where there is no prompt.
    """
    both = comparable(own) & comparable(other)
    ours, theirs = best_teachers(own[both]), best_teachers(other[both])
    agreement = rank_agreement(own[both], other[both])
    known = agreement[np.isfinite(agreement)]
    counts = np.bincount(theirs, minlength=own.shape[1])
    n = int(both.sum())
    return {
        "prompts": n,
        "changed": float(np.mean(ours != theirs)) if n else None,
        "agreement": float(known.mean()) if len(known) else None,
        "shares": (counts / n).tolist() if n else None,
    }
