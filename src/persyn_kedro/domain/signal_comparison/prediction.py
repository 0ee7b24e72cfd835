"""Does a reward predict the score of the student that was trained on what it is the reward of?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.comparison.strategies.allocation import ON_CALIBRATION
from persyn_kedro.domain.comparison.students import quality_matrices
from persyn_kedro.domain.intervals.rank_correlation import spearman
from persyn_kedro.domain.intervals.simultaneous import joint_level

DRAWS = 2000  # permutations of the students' scores


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


def predictions(
    rewards: Sequence[np.ndarray], students: Trained, confidence: float
) -> list[dict[str, Any] | None]:
    """Return by (n, K) rewards ``spearman`` of the students' mean reward and their score.

    The intervals hold for all rewards at once (``joint_level``), so the best one's may be taken at
    its word. How the correlations move together is drawn by permuting the scores over the students
    (Westfall and Young, 1993), which few students allow too.
    """
    scores = np.array(students.scores)
    means = [np.array([_mean(own[place]) for place in students.places]) for own in rewards]
    drawn = np.random.default_rng(0).permuted(np.tile(scores, (DRAWS, 1)), axis=1)
    ranks: dict[bytes, np.ndarray] = {}  # by which students have a mean reward
    draws, pairs = [], []
    for own in means:
        known = np.isfinite(own)
        if known.tobytes() not in ranks:
            ranks[known.tobytes()] = _ranks(drawn[:, known])
        draws.append(ranks[known.tobytes()] @ _ranks(own[known]))
        pairs.append((own[known].tolist(), scores[known].tolist()))
    level = joint_level(np.stack(draws, axis=1), confidence)
    return [spearman(x, y, level) for x, y in pairs]


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return centred ranks of length 1: the product of two is Spearman's correlation."""
    from scipy.stats import rankdata

    found = rankdata(values, axis=-1)
    found -= (found.shape[-1] + 1) / 2
    return found / np.maximum(np.linalg.norm(found, axis=-1, keepdims=True), 1e-12)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
