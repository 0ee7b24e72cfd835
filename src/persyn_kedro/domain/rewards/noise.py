"""How much of the rewards' variance is sampling noise (METHOD.md, section 1, "Several answers").

A one-way random-effects analysis of variance within each prompt: the teachers are the groups, a
teacher's valid answers the repeats. The mean squares are pooled over the prompts (Searle, Casella
and McCulloch, Variance Components, 1992, chapter 3; the share is 1 - ICC(1, k) of Shrout and
Fleiss, Psychological Bulletin 86, 1979).
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

COLUMNS = ["prompt_id", "teacher", "reward", "valid_samples", "reward_sd"]


def sampling_noise(rewards: pa.Table) -> dict[str, Any] | None:
    """Return the spread of rewards within and between teachers, and the share that is noise.

    Args:
        rewards: ``schemas.REWARDS``, whose rewards are means over a teacher's answers.

    Returns:
        ``prompts`` (with two or more valid teachers), ``within`` and ``between`` (standard
        deviations of a single answer's reward, and of a teacher's true reward, at one prompt),
        ``share`` (of the variance of the rewards between a prompt's teachers, what is sampling
        noise) and ``share_of_one`` (the same with one answer each). None if no teacher has two
        valid answers to such a prompt.
    """
    table = rewards.select(COLUMNS).to_pylist()
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in table:
        if row["reward"] is not None and row["valid_samples"]:
            groups[row["prompt_id"]].append(row)
    compared = [own for own in groups.values() if len(own) > 1]
    rows = [row for own in compared for row in own]
    within = _within(rows)
    if within is None:
        return None
    sums, freedom, weight = np.sum([_between(own) for own in compared], axis=0)
    between = max(0.0, (sums / freedom - within) / (weight / freedom))
    of_means = within * float(np.mean([1 / row["valid_samples"] for row in rows]))
    return {
        "prompts": len(compared),
        "within": within**0.5,
        "between": between**0.5,
        "share": _share(of_means, between),
        "share_of_one": _share(within, between),
    }


def spread_within(rewards: pa.Table, teachers: Sequence[str]) -> dict[str, float | None]:
    """Return by teacher the standard deviation of the reward over its answers to one prompt.

    Pooled over the prompts with two or more valid answers; None without one. ``rewards``:
    ``schemas.REWARDS``, means or those of the best answers.
    """
    rows = [row for row in rewards.select(COLUMNS).to_pylist() if row["valid_samples"]]
    variances = {t: _within([row for row in rows if row["teacher"] == t]) for t in teachers}
    return {t: None if variance is None else variance**0.5 for t, variance in variances.items()}


def _within(rows: Sequence[dict[str, Any]]) -> float | None:
    """Return the mean square within, a variance; None without degrees of freedom."""
    repeated = [row for row in rows if row["valid_samples"] > 1]
    if not repeated:
        return None
    freedom = np.array([row["valid_samples"] - 1 for row in repeated])
    variances = np.array([row["reward_sd"] for row in repeated]) ** 2
    return float(freedom @ variances / freedom.sum())


def _between(rows: Sequence[dict[str, Any]]) -> tuple[float, int, float]:
    """Return one prompt's sum of squares between, its degrees of freedom, and their weight.

    The weight is the factor of the variance between in the expected sum of squares.
    """
    counts = np.array([row["valid_samples"] for row in rows], np.float64)
    means = np.array([row["reward"] for row in rows])
    grand = counts @ means / counts.sum()
    weight = counts.sum() - (counts**2).sum() / counts.sum()
    return float(counts @ (means - grand) ** 2), len(rows) - 1, float(weight)


def _share(noise: float, between: float) -> float | None:
    return noise / (noise + between) if noise + between > 0 else None
