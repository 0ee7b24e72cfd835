"""What each way of judging would have routed, and how good that is by the others' figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from persyn_kedro.domain.comparison.strategies.labelled import Labelled
from persyn_kedro.domain.intervals.bootstrap import mean_over_prompts
from persyn_kedro.domain.rewards.reward import comparable, fair_matrix, reward_matrix
from persyn_kedro.domain.signal_comparison.choices import best_teachers

VERSION = 2  # raise it when the same inputs give another result

RANDOM, BEST = "random", "best"  # rows beside the ways of judging, in ``figures_of_choices``


@dataclass(frozen=True)
class Routed:
    """Rewards with the quality of one way of judging; rows are the calibration prompts.

    Attributes:
        rewards: (n, K), not finite where a teacher's answer is invalid or was not asked for.
        quality: (n, K) raw, NaN likewise or where unknown.
        fair: likewise, of the answers asked at random alone: an adaptive design asks others by
            their merit.
    """

    rewards: np.ndarray
    quality: np.ndarray
    fair: np.ndarray

    @classmethod
    def of(cls, labelled: Labelled) -> "Routed":
        """Return them from labels."""
        table = labelled.table_with()
        place = table.schema.get_field_index("reward")
        raw = table.set_column(place, "reward", pc.fill_null(table["quality"], np.nan))
        rewards, quality, fair = (
            matrix(rows, labelled.teachers)[1]
            for matrix, rows in ((reward_matrix, table), (reward_matrix, raw), (fair_matrix, raw))
        )
        return cls(rewards, *(np.where(np.isfinite(q), q, np.nan) for q in (quality, fair)))

    @property
    def chosen(self) -> np.ndarray:
        """(n,) int, the teacher of the highest reward, -1 where fewer than two are valid."""
        return np.where(comparable(self.rewards), best_teachers(self.rewards), -1)

    @property
    def by_teacher(self) -> dict[str, list[float | None]]:
        """Each teacher's mean quality, and its share of the prompts of which it is the best."""
        known = np.isfinite(self.fair)
        counts = known.sum(axis=0)
        sums = np.where(known, self.fair, 0.0).sum(axis=0)
        chosen = self.chosen[self.chosen >= 0]
        best = np.bincount(chosen, minlength=self.rewards.shape[1])
        return {
            "means": [s / n if n else None for s, n in zip(sums.tolist(), counts, strict=True)],
            "shares": (best / len(chosen)).tolist() if len(chosen) else [None] * len(best),
        }


def same_choices(
    first: Routed, second: Routed, resamples: int, confidence: float, seed: int
) -> dict[str, Any] | None:
    """Return the share of prompts for which both choose the same teacher, with its interval.

    Over the prompts that have two valid teachers under both; None if there are none.
    """
    both = (first.chosen >= 0) & (second.chosen >= 0)
    same = (first.chosen == second.chosen)[both].astype(np.float64)
    found = mean_over_prompts(same, resamples, confidence, seed)
    return None if found is None else {**found.as_dict(), "prompts": len(same)}


def figures_of_choices(
    routed: Mapping[str, Routed], resamples: int, confidence: float, seed: int
) -> dict[str, Any]:
    """Return the mean quality, by each way of judging, of what each way would have chosen.

    Over the prompts that have two valid teachers under all ways. Beside them: the mean over a
    prompt's answers, ``RANDOM``, and its highest quality, ``BEST``.

    Returns:
        dict: ``{"prompts": number, "rows": {chosen by: {quality by: estimate or None}}}``.
    """
    shared = np.logical_and.reduce([each.chosen >= 0 for each in routed.values()])
    lines = np.arange(int(shared.sum()))
    rows: dict[str, dict[str, Any]] = {name: {} for name in (*routed, RANDOM, BEST)}
    for judge, by in routed.items():
        quality = by.quality[shared]
        some = np.isfinite(quality).any(axis=1)
        values = {name: quality[lines, each.chosen[shared]] for name, each in routed.items()}
        values[RANDOM], values[BEST] = np.full((2, len(lines)), np.nan)
        values[RANDOM][some] = np.nanmean(quality[some], axis=1)
        values[BEST][some] = np.nanmax(quality[some], axis=1)
        for name, own in values.items():
            found = mean_over_prompts(own[np.isfinite(own)], resamples, confidence, seed)
            rows[name][judge] = None if found is None else found.as_dict()
    return {"prompts": len(lines), "rows": rows}
