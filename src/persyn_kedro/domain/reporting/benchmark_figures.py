"""The benchmarks' figures as text, the same in the terminal and on the page."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.reporting.formatting import number, percent, with_interval

BENCHMARK_COLUMNS = ["task", "metric", "n", "before", "after", "difference"]
TASK_COLUMNS = ["task", "version", "shots", "configuration"]


def benchmark_rows(comparison: Mapping[str, Any]) -> list[list[str]]:
    """Return the cells of ``BENCHMARK_COLUMNS``."""
    return [
        [
            row["task"],
            row["metric"].replace(",none", "").replace(",", " / "),
            "" if row["n"] is None else str(row["n"]),
            *(
                with_interval(row[side], row[f"{side}_interval"], number)
                for side in ("before", "after", "difference")
            ),
        ]
        for row in comparison["rows"]
    ]


def benchmark_meaning(comparison: Mapping[str, Any]) -> str:
    """Return what the columns mean."""
    return (
        f"In brackets: {percent(comparison['confidence'])} intervals from the harness's standard "
        "errors. The difference's interval treats before and after as independent, so it is too "
        "wide."
    )


def task_rows(comparison: Mapping[str, Any]) -> list[list[str]]:
    """Return each task's version, number of shots and the hash of its full configuration."""
    return [
        [
            name,
            *("" if told[k] is None else str(told[k]) for k in ("version", "num_fewshot")),
            told["config_id"] or "",
        ]
        for name, told in comparison["tasks"].items()
    ]
