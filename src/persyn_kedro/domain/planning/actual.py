"""Compare the estimate with what was used."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.planning.calls import LABEL
from persyn_kedro.domain.quality.judge.judge import JUDGE
from persyn_kedro.domain.quality.judge.note import Judged
from persyn_kedro.foundations.settings.label import QualitySettings

VERSION = 2  # raise it when the same inputs give another result

AMOUNTS = ("calls", "prompt_tokens", "completion_tokens", "cost")


def against_actual(
    estimate: pa.Table, made: Mapping[str, pa.Table], judged: Sequence[Mapping[str, float]] = ()
) -> list[dict[str, Any]]:
    """Return for each step and teacher the amounts of PLAN and, as ``actual_…``, of CALLS.

    Args:
        estimate: PLAN, made before the first call.
        made: CALLS by step.
        judged: ``judges_used``.
    """
    actual: dict[tuple[str, str], Mapping[str, Any]] = {
        (step, row["teacher"]): row for step, table in made.items() for row in table.to_pylist()
    }
    rows, judges = [], iter(judged)  # PLAN has them in the same order
    for row in estimate.to_pylist():
        done = actual.get((row["step"], row["teacher"]))
        if (row["step"], row["teacher"]) == (LABEL, JUDGE):
            done = next(judges, None)
        if done is None:  # the student's own calls
            continue
        rows.append(
            {
                "step": row["step"],
                "teacher": row["teacher"],
                **{name: row[name] for name in AMOUNTS},
                **{f"actual_{name}": done[name] or 0 for name in AMOUNTS},
            }
        )
    return rows


def judges_used(
    notes: Sequence[Judged], ways: Sequence[QualitySettings]
) -> list[Mapping[str, float]]:
    """Return the amounts of the replies on which each judge's verdicts rest, in order.

    Replies that the store had are among them. Costs are at the prices with which they were judged.

    Args:
        notes: of labels.
        ways: in which they were judged.
    """
    asked = [way for way in ways if way.kind == "judge"]
    if len(asked) != len(notes) or not all("cost" in note.counts for note in notes):
        return []  # labels of an older version
    return [{name: note.counts[name] for name in AMOUNTS} for note in notes]
