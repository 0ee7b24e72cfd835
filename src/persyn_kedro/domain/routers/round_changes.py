"""What a round of training changed: the best teachers, the router's choices, learnability."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts.select import ANSWERED, select_ids
from persyn_kedro.domain.rewards.reward import comparable, reward_matrix
from persyn_kedro.domain.routers.metrics import oracles
from persyn_kedro.domain.routers.pool_changes import choice_moves, regrets

VERSION = 1  # raise it when the same inputs give another result


@dataclass(frozen=True)
class Round:
    """A round's ``schemas.ASSIGNMENTS`` and ``REWARDS``, and its router's metrics."""

    assignments: pads.Dataset
    rewards: pads.Dataset
    metrics: Mapping[str, Any]


def round_change(
    before: Round, now: Round, prompts: pads.Dataset, calls: pa.Table, teachers: Sequence[str]
) -> dict[str, Any]:
    """Return how two rounds differ, JSON-able.

    ``best`` counts the calibration prompts with two valid teachers in both rounds by the teacher
    with the highest reward (the first of a tie), ``routed`` the calibration and train prompts by
    the router's choice; ``moves`` are those that differ.

    Args:
        calls: CALLS of the later round.
    """
    answered = select_ids(prompts, ANSWERED)["prompt_id"]
    columns = ["prompt_id", "teacher"]
    sides = [each.assignments.to_table(columns=columns) for each in (before, now)]
    routed = [side.filter(pc.is_in(side["prompt_id"], value_set=answered)) for side in sides]
    best = [_best(each.rewards.to_table(), teachers) for each in (before, now)]
    made = {row["teacher"]: row for row in calls.to_pylist()}
    means = _learnability(before.rewards.to_table(), now.rewards.to_table())
    return {
        "best": _moved(*best),
        "routed": _moved(*routed),
        "router": {"before": regrets(before.metrics), "now": regrets(now.metrics)},
        "teachers": [
            {
                "teacher": name,
                "learnability": means.get(name, [None, None]),
                "best": [_count(side, name) for side in best],
                "routed": [_count(side, name) for side in routed],
                "calls": made[name]["calls"] if name in made else 0,
                "tokens": made[name]["completion_tokens"] if name in made else 0,
            }
            for name in teachers
        ],
    }


def _best(rewards: pa.Table, teachers: Sequence[str]) -> pa.Table:
    """Return the best teacher of each prompt with two valid ones: ``prompt_id``, ``teacher``."""
    ids, matrix = reward_matrix(rewards, teachers)
    rows = np.flatnonzero(comparable(matrix))
    best = oracles(matrix[rows]).argmax(axis=1)
    names = [teachers[k] for k in best.tolist()]
    return pa.table({"prompt_id": pa.array([ids[i] for i in rows], pa.string()), "teacher": names})


def _moved(before: pa.Table, now: pa.Table) -> dict[str, Any]:
    moves = choice_moves(before, now)
    same = sum(m["prompts"] for m in moves if m["from"] == m["to"])
    moved = [m for m in moves if m["from"] != m["to"]]
    return {"n": same + sum(m["prompts"] for m in moved), "same": same, "moves": moved}


def _count(choices: pa.Table, teacher: str) -> int:
    return Counter(choices["teacher"].to_pylist())[teacher]


def _learnability(before: pa.Table, now: pa.Table) -> dict[str, list[float]]:
    """Return each teacher's mean learnability in both rounds, over the same answers."""
    columns = ["prompt_id", "teacher", "learnability"]
    sides = [side.select(columns) for side in (before, now)]
    kept = [side.filter(pc.is_valid(side["learnability"])) for side in sides]
    now_too = kept[1].rename_columns([*columns[:2], "now"])
    both = kept[0].join(now_too, columns[:2], join_type="inner", use_threads=False)
    by_teacher = both.group_by("teacher", use_threads=False)  # threads would change the last bits
    means = by_teacher.aggregate([("learnability", "mean"), ("now", "mean")])
    return {r["teacher"]: [r["learnability_mean"], r["now_mean"]] for r in means.to_pylist()}
