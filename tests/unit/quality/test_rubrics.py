"""A judge's rubrics: the shipped ones, bad ones, and what of them is part of its identity."""

from pathlib import Path

import pytest

from persyn_kedro.domain.quality.judge.rubric import OURS, load_rubric
from persyn_kedro.foundations.errors import PersynError
from tests.support.scripted_judge import answers, judge_of, parts_of, qualities, verdict


def test_a_rubric_by_reference_asks_only_of_prompts_that_have_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script, judge = judge_of(monkeypatch, tmp_path, lambda *_: verdict(score=1),
                             rubric="correctness")  # fmt: skip
    own = [*answers("4", reference="four"), *answers("4", prompt="q")]
    assert qualities(judge, own, tmp_path) == [1, None]
    (request,) = script.requests
    assert parts_of(str(request.prompt)) == {"PROMPT": "Say p.", "REFERENCE": "four", "ANSWER": "4"}


def test_the_shipped_rubrics_can_be_read() -> None:
    assert [load_rubric(name).reference for name in OURS] == [False, True]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("text: Be good.", "has no scale: add scale"),
        ("text: Be good.\nscale: {min: 1}", "has no scale"),
        ("text: Be good.\nscale: {min: 3, max: 3}", "not two numbers, min below max"),
        ("text: Be good.\nscale: {min: 1, max: .inf}", "not two numbers"),
        ("scale: {min: 1, max: 3}", "has no text"),
        ("text: x\nscale: {min: 1, max: 3}\nweight: 2", "has the unknown key 'weight'"),
        ("text: x\nscale: {min: 1, max: 3}\nreference: maybe", "not true or false"),
        ("- text", "must have the keys text and scale"),
        ("text: [", "is not YAML"),
        (None, "rubric.yaml cannot be read (No such file or directory); name instruction_"),
    ],
)
def test_a_bad_rubric_is_refused_in_one_sentence(
    text: str | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("rubric.yaml").write_text(text)
    with pytest.raises(PersynError) as error:
        load_rubric("rubric.yaml")
    assert sentence in str(error.value)
    assert "rubric.yaml" in str(error.value)


def test_a_rubric_with_another_text_is_another_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = []
    for text in ("good", "better"):
        Path("mine.yaml").write_text(f"text: {text}\nscale: {{min: 1, max: 3}}")
        _, judge = judge_of(monkeypatch, tmp_path, lambda *_: "", rubric="mine.yaml")
        found.append(judge.identity)
    assert found[0] != found[1]
    assert {**found[0], "rubric": found[1]["rubric"]} == found[1]
