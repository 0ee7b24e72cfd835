"""Calls summed by teacher: the last bits do not depend on threads."""

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.teachers.result import sum_calls
from persyn_kedro.foundations.tables.schemas import CALLS


def test_sums_are_those_of_one_thread() -> None:
    numbers = np.random.default_rng(0)
    zeros = {field.name: 0 for field in CALLS if pa.types.is_integer(field.type)}
    tables, costs = [], {"a": 0.0, "b": 0.0}
    for _ in range(400):
        rows = []
        for teacher in np.array(["a", "b"])[numbers.integers(0, 2, 200)].tolist():
            rows.append({**zeros, "teacher": teacher, "calls": 1, "cost": numbers.random()})
            costs[teacher] += rows[-1]["cost"]
        tables.append(pa.Table.from_pylist(rows, CALLS))
    for _ in range(20):  # threads gave other bits in two of five
        found = {row["teacher"]: row for row in sum_calls(tables, ["b", "a"]).to_pylist()}
        assert list(found) == ["b", "a"]
        assert {name: row["cost"] for name, row in found.items()} == costs
        assert sum(row["calls"] for row in found.values()) == 400 * 200
