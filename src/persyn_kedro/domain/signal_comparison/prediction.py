"""Does a reward predict the score of the student that was trained on what it is the reward of?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.comparison.strategies.allocation import ON_CALIBRATION
from persyn_kedro.domain.comparison.students import quality_matrices
from persyn_kedro.domain.intervals.rank_correlation import spearman


@dataclass(frozen=True)
class Trained:
    """Trained students: their scores, and where the rewards of their examples are.

    Attributes:
        scores: each one's mean quality over test prompts and seeds.
        places: each one's examples of calibration prompts, as indices into (n, K) rewards.
    """

    scores: Sequence[float]
    places: Sequence[tuple[np.ndarray, np.ndarray]]


def trained_students(
    trials: pa.Table, examples: pa.Table, prompt_ids: Sequence[str], teachers: Sequence[str]
) -> Trained:
    """Return the students that differ in their training sets and have calibration examples.

    Those that are trained on calibration prompts alone, with fewer examples, are left out.

    Args:
        trials: rows of ``schemas.TRIALS``.
        examples: what each was trained on, rows of ``schemas.STRATEGY_EXAMPLES``.
        prompt_ids: the rewards' rows; ``teachers``: their columns.
    """
    lines = {prompt_id: i for i, prompt_id in enumerate(prompt_ids)}
    columns = {teacher: k for k, teacher in enumerate(teachers)}
    sets: dict[str, list[Mapping[str, Any]]] = {}
    names = ["strategy", "prompt_id", "teacher", "response_key"]
    for row in examples.select(names).to_pylist():
        sets.setdefault(row["strategy"], []).append(row)
    scores, places = [], {}
    qualities, *_ = quality_matrices(trials)
    for name, own in sets.items():
        values = qualities.get(name)
        found = [(lines[r["prompt_id"]], columns[r["teacher"]]) for r in own
                 if r["prompt_id"] in lines and r["teacher"] in columns]  # fmt: skip
        same = tuple(sorted(row["response_key"] for row in own))
        if name not in ON_CALIBRATION and values is not None and values.size and found:
            if same not in places:  # strategies with the same set share their students
                scores.append(float(values.mean()))
                places[same] = tuple(np.array(found).T)
    return Trained(scores, list(places.values()))


def prediction(rewards: np.ndarray, students: Trained, confidence: float) -> dict[str, Any] | None:
    """Return ``spearman`` of the students' mean (n, K) reward of their examples and their score."""
    means = [_mean(rewards[place]) for place in students.places]
    pairs = [(m, s) for m, s in zip(means, students.scores, strict=True) if m is not None]
    return spearman([m for m, _ in pairs], [s for _, s in pairs], confidence)


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
