"""Scores from a file: numbers only, whatever their size."""

from typing import Any

import pytest

from persyn_kedro.domain.quality.imported import _number
from persyn_kedro.foundations.errors import PersynError


@pytest.mark.parametrize(("value", "found"), [(3, 3.0), (-0.5, -0.5), (None, None)])
def test_a_number_is_taken_and_null_is_unknown(value: Any, found: float | None) -> None:
    assert _number({"scores": {"good": value}}, "good", "Line 1") == found
    assert _number({"scores": None}, "good", "Line 1") is None


@pytest.mark.parametrize("value", [True, "7", [7], float("nan"), float("inf"), 10**400])
def test_anything_else_is_refused_with_its_line(value: Any) -> None:
    with pytest.raises(PersynError, match="^Line 1 has .{1,90} as scores.good; it must be a num"):
        _number({"scores": {"good": value}}, "good", "Line 1")
