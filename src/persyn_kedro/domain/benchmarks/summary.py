"""Benchmarks before and after training, side by side."""

import math
from collections.abc import Mapping
from typing import Any


def compare_benchmarks(
    before: Mapping[str, Any], after: Mapping[str, Any], confidence: float
) -> dict[str, Any]:
    """Return each task's metrics before and after, with intervals from the standard errors.

    The difference's interval treats the two as independent although the prompts are the same: it is
    wider than a paired interval unless the answers are negatively correlated.

    Args:
        before: what ``harness.benchmark_job`` yields; ``after`` has the same tasks.
    """
    from scipy.special import ndtri

    z = float(ndtri(0.5 + confidence / 2))
    rows, notes = [], []
    for task, told in before["tasks"].items():
        other = after["tasks"].get(task)
        changed = _changed(before, after, task)
        if other is None or changed:
            notes.append(
                f"{task} is left out: its {changed or 'results'} differ before and after; "
                "`kedro run --pipelines=benchmark --redo` measures both again."
            )
            continue
        for metric in told["metrics"].keys() & other["metrics"].keys():
            sides = _sides(told["metrics"][metric], other["metrics"][metric], z)
            rows.append({"task": task, "metric": metric, "n": told["n"], **sides})
    return {
        "confidence": confidence,
        **{name: before[name] for name in _SHARED},
        "tasks": {
            task: {k: v for k, v in told.items() if k != "metrics"}
            for task, told in before["tasks"].items()
        },
        "rows": sorted(rows, key=lambda row: (row["task"], row["metric"])),
        "notes": notes,
    }


_SHARED = ("harness", "backend", "chat_template")


def _changed(before: Mapping[str, Any], after: Mapping[str, Any], task: str) -> str:
    """Name the differences that make a task's two results incomparable, "" if none."""
    old, new = before["tasks"][task], after["tasks"].get(task, {})
    names = [n for n in _SHARED if before[n] != after[n]]
    names += [n for n in ("n", "version", "num_fewshot", "config_id") if old[n] != new.get(n)]
    return ", ".join(names)


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
