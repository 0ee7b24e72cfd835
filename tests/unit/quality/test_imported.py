"""Scores from a file: numbers only, whatever their size."""

import json
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.domain.quality.imported import ImportedScores, _number, check_imported
from persyn_kedro.domain.quality.scorer import Answer
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id


@pytest.mark.parametrize(("value", "found"), [(3, 3.0), (-0.5, -0.5), (None, None)])
def test_a_number_is_taken_and_null_is_unknown(value: Any, found: float | None) -> None:
    assert _number({"scores": {"good": value}}, "good", "Line 1") == found
    assert _number({"scores": None}, "good", "Line 1") is None


@pytest.mark.parametrize("value", [True, "7", [7], float("nan"), float("inf"), 10**400])
def test_anything_else_is_refused_with_its_line(value: Any) -> None:
    with pytest.raises(PersynError, match="^Line 1 has .{1,90} as scores.good; it must be a num"):
        _number({"scores": {"good": value}}, "good", "Line 1")


def test_an_answer_is_found_as_it_is_or_with_its_thinking(tmp_path: Path) -> None:
    """One that is there as it is has that score, whatever another with the same end has."""
    lines = {"<think>hm</think>\n42": 1.5, "<think>so</think>7": 2.0, "7": 3.0}
    file = tmp_path / "scores.jsonl"
    file.write_text("".join(line("p", *pair) for pair in lines.items()))
    scores = ImportedScores(str(file), "good")
    shown = ["42", "<think>hm</think>\n42", "7", "<think>so</think>7", "8"]
    found = dict(scores.scores([answer(text) for text in shown]))
    assert [found[answer(text).key] for text in shown] == [1.5, 1.5, 3.0, 2.0, None]
    file.write_text(line("p", "<think>a</think>7", 1.0) + line("p", "<think>b</think>7", 2.0))
    with pytest.raises(PersynError, match="^Line 2 of .* has another good of an answer"):
        list(scores.scores([answer("7")]))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PersynError, match="nothing.jsonl of imported scores does not exist"):
        check_imported(str(tmp_path / "nothing.jsonl"))
    (tmp_path / "a.jsonl").write_text(line("p", "7", 1.0))
    for several in (tmp_path, tmp_path / "*.jsonl"):  # refused now, not after the answers
        with pytest.raises(PersynError, match="of imported scores does not exist"):
            check_imported(str(several))


def line(prompt: str, response: str, score: float) -> str:
    found = {"prompt": prompt, "response": response, "scores": {"good": score}}
    return json.dumps(found) + "\n"


def answer(response: str) -> Answer:
    prompt = {"prompt_id": text_id("p"), "prompt": "p"}
    return Answer((text_id(response), ""), prompt, response)
