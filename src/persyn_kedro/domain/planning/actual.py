"""Compare the estimate with what was used."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

AMOUNTS = ("calls", "prompt_tokens", "completion_tokens", "cost")


def against_actual(estimate: pa.Table, made: Mapping[str, pa.Table]) -> list[dict[str, Any]]:
    """Return for each step and teacher the amounts of PLAN and, as ``actual_…``, of CALLS.

    Args:
        estimate: PLAN, made before the first call.
        made: CALLS by step.
    """
    actual = {
        (step, row["teacher"]): row for step, table in made.items() for row in table.to_pylist()
    }
    rows = []
    for row in estimate.to_pylist():
        done = actual.get((row["step"], row["teacher"]))
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
