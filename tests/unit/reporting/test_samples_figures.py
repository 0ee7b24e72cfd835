"""What the report says of several answers to a prompt."""

from typing import Any

import pytest

from persyn_kedro.domain.reporting.samples_figures import sentences, spread_rows

NOISE = {
    "prompts": 12,
    "within": 0.2,
    "between": 0.1,
    "share": 0.5,
    "share_of_one": 0.8,
}


def several(**changes: Any) -> dict[str, Any]:
    told = {"teachers": {"a": 4, "b": 1}, "label": "mean", "generate": 1, "keep": "first"}
    return {**told, "spread": {"a": 0.2, "b": None}, "noise": NOISE, **changes}


@pytest.mark.parametrize(
    ("label", "noise", "said"),
    [
        ("mean", NOISE, "is the mean over its valid answers."),
        ("best", None, "is that of its best answer."),
    ],
)
def test_it_says_what_a_reward_is(label: str, noise: Any, said: str) -> None:
    first, *rest = sentences(several(label=label, noise=noise))
    assert first == f"A teacher's reward for a prompt {said}"
    assert bool(rest) == (noise is not None)


def test_it_says_how_much_is_noise_and_warns_of_more_than_half() -> None:
    (noise,) = sentences(several())[1:]
    assert "0.100, and the answers of one teacher 0.200 (estimated on 12 prompts)" in noise
    assert "So 50.0 % of the rewards' variance is sampling noise" in noise
    assert "with one answer each it would be 80.0 %" in noise
    (_, warning) = sentences(several(noise={**NOISE, "share": 0.51}))[1:]
    assert "more samples would make" in warning


def test_a_teacher_with_one_answer_has_no_spread() -> None:
    assert spread_rows(several()) == [["a", "4", "0.200"], ["b", "1", "–"]]
    assert spread_rows(several(label="best", noise=None))[0] == ["a", "4", "0.200"]
