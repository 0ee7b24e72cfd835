"""Answers that reasoning-gym gives to arithmetic, against Python's own evaluation."""

import json
from fractions import Fraction

import pytest

from persyn_kedro.domain.prompts.arithmetic import expression_value, is_right
from persyn_kedro.domain.prompts.sources import read_rows
from persyn_kedro.foundations.settings.prepare import PromptSource

WITHOUT = {"max_terms": 2, "max_digits": 2, "allow_parentheses": False, "allow_negation": False}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("29 / 21", Fraction(29, 21)),
        (" 3 + 4 * 5", Fraction(23)),
        ("-(2 - 8) / -3", Fraction(-2)),
        ("7/0", None),
    ],
)
def test_values_are_exact(expression: str, value: Fraction | None) -> None:
    assert expression_value(expression) == value


def test_entries_with_a_wrong_answer_are_left_out_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    task = {"name": "basic_arithmetic", "size": 300, "config": WITHOUT}
    rows = list(read_rows(PromptSource(tasks=[task]), seed=7))
    entries = [json.loads(row["metadata"]) for row in rows]
    assert 200 < len(rows) < 300 and all(map(is_right, entries))
    assert all("/" not in e["metadata"]["expression"] or int(e["answer"]) < 100 for e in entries)
    left_out = 300 - len(rows)
    assert f"Left out {left_out} of 300 prompts of basic_arithmetic: reasoning-gym" in caplog.text


def test_an_answer_is_right_or_wrong() -> None:
    divided = {"metadata": {"expression": "29 / 21"}}
    assert not is_right({**divided, "answer": "2146"}) and is_right({**divided, "answer": "29/21"})
    assert not is_right({"metadata": {"expression": "3 / 0"}, "answer": "18"})
