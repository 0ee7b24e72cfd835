"""Do two ways of judging order a prompt's answers alike? (METHOD.md, "Judge against judge")"""

from typing import Any

import numpy as np

from persyn_kedro.domain.intervals.bootstrap import ratio_over_prompts
from persyn_kedro.domain.intervals.rank_correlation import spearman_over_prompts
from persyn_kedro.domain.rewards.reward import TIE

VERSION = 1  # raise it when the same inputs give another result

COUNTS = ("alike", "opposite", "tied_by_first", "tied_by_second", "tied_by_both")


def order_agreement(
    first: np.ndarray,
    second: np.ndarray,
    prompts: np.ndarray,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """Return how far two ways of judging order the answers to a prompt alike.

    Answers of which either is unknown are left out.

    Args:
        first: (n,) qualities of answers, NaN where unknown; ``second``: likewise.
        prompts: (n,) int, the number of each answer's prompt.

    Returns:
        dict: ``answers``; of their pairs within a prompt, ``COUNTS``; ``agreement``, the share of
            pairs ordered alike among those that both tell apart, with its bootstrap interval over
            prompts (None without such a pair); and ``correlation`` over all answers, as
            ``spearman_over_prompts``.
    """
    known = np.isfinite(first) & np.isfinite(second)
    x, y, owners = first[known], second[known], prompts[known]
    counts = np.array([_pairs(x[own], y[own]) for own in _groups(owners)]).reshape(-1, len(COUNTS))
    alike, opposite = counts[:, 0], counts[:, 1]
    agreement = ratio_over_prompts(alike, alike + opposite, resamples, confidence, seed)
    return {
        "answers": len(x),
        **dict(zip(COUNTS, counts.sum(axis=0).astype(int).tolist(), strict=True)),
        "agreement": None if agreement is None else agreement.as_dict(),
        "correlation": spearman_over_prompts(x, y, owners, resamples, confidence, seed),
    }


def _groups(prompts: np.ndarray) -> list[np.ndarray]:
    """Return the places of each prompt's answers."""
    order = np.argsort(prompts, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(prompts[order])) + 1) if len(order) else []


def _pairs(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Return ``COUNTS`` of one prompt's answers."""
    a, b = np.triu_indices(len(x), 1)
    signs = [np.where(np.abs(v[a] - v[b]) > TIE, np.sign(v[a] - v[b]), 0) for v in (x, y)]
    product, tied = signs[0] * signs[1], [sign == 0 for sign in signs]
    found = (
        product > 0, product < 0, tied[0] & ~tied[1], tied[1] & ~tied[0], tied[0] & tied[1],
    )  # fmt: skip
    return [float(each.sum()) for each in found]
