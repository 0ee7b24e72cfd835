"""What students do with lists, on answers counted by hand."""

import sys
from pathlib import Path

import pandas as pd
import pytest

EXAMPLE = "Sort in {} order: 2, 1. Instead of -69, -13, 1, 7, 11, 43, 59, 61, use strings"
REVERSE = "Reverse this list of words: {}"
ANSWERS = [
    ("number_sorting", EXAMPLE.format("ascending"), "[-69, -13, 1, 7, 11, 43, 59, 61]", 0.0),
    ("number_sorting", EXAMPLE.format("ascending"), "[1, 2]", 1.0),
    ("number_sorting", EXAMPLE.format("descending"), "[1, 2]", 0.0),
    ("word_sequence_reversal", REVERSE.format("of, do, so"), "so, do, of", 1.0),
    ("word_sequence_reversal", REVERSE.format("of, do, so"), "It is of, do, so", 0.0),
    ("word_sequence_reversal", REVERSE.format("a, b, c, d"), "a, b, c, d", 0.0),
    ("basic_arithmetic", "1 + 1 =", "2", 1.0),
]


def test_copies_and_right_answers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    benchmarks = Path(__file__).parents[3] / "benchmarks"
    monkeypatch.setattr(sys, "path", [str(benchmarks), *sys.path])
    from habits import reversing, sorting

    columns = ["source", "prompt", "response", "quality"]
    answers = pd.DataFrame(ANSWERS, columns=columns).assign(strategy="strong")
    assert sorting(answers).loc["strong"].to_dict() == {
        "give the example": pytest.approx(1 / 3),
        "right if ascending": 0.5,
        "right if descending": 0.0,
    }
    assert reversing(answers).loc["strong"].to_dict() == {
        "give the list as it stands": pytest.approx(2 / 3),
        "right of 3 words": 0.5,
        "right of 4 words": 0.0,
    }
