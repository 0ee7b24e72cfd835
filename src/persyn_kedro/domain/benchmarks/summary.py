"""Benchmarks before and after, side by side."""

import math
from collections.abc import Mapping
from typing import Any


def compare_benchmarks(
    before: Mapping[str, Any], after: Mapping[str, Any], confidence: float
) -> dict[str, Any]:
    """Return each task's metrics before and after, with intervals from the standard errors.

    The difference's interval takes the two as independent though the prompts are the same: it is
    wider than a paired one, never narrower unless the answers move against each other.

    Args:
        before: what ``harness.benchmark_job`` yields; ``after`` is of the same tasks.
    """
    from scipy.stats import norm

    z = float(norm.ppf(0.5 + confidence / 2))
    rows = []
    for task, told in before["tasks"].items():
        other = after["tasks"].get(task, {"metrics": {}})
        for metric, old in told["metrics"].items():
            if metric not in other["metrics"]:
                continue
            new = other["metrics"][metric]
            rows.append({"task": task, "metric": metric, "n": told["n"], **_sides(old, new, z)})
    settings = ("harness", "backend", "chat_template")
    return {
        "confidence": confidence,
        **{name: before[name] for name in settings},
        "tasks": {
            task: {k: v for k, v in told.items() if k != "metrics"}
            for task, told in before["tasks"].items()
        },
        "rows": rows,
    }


def _sides(old: Mapping[str, Any], new: Mapping[str, Any], z: float) -> dict[str, Any]:
    errors = old["standard_error"], new["standard_error"]
    both = None if None in errors else math.hypot(*errors)
    difference = new["value"] - old["value"]
    return {
        "before": old["value"],
        "before_interval": _around(old["value"], errors[0], z),
        "after": new["value"],
        "after_interval": _around(new["value"], errors[1], z),
        "difference": difference,
        "difference_interval": _around(difference, both, z),
    }


def _around(value: float, error: float | None, z: float) -> list[float] | None:
    return None if error is None else [value - z * error, value + z * error]
