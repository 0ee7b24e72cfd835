"""What adapters are trained on: what their reward chooses, and as many tokens for each."""

import pytest
from hypothesis import given, strategies as st

from persyn_kedro.domain.comparison.strategies.examples import Trainable
from persyn_kedro.domain.signal_comparison.training_sets import hold_out, signal_sets
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.settings.signals import FitSignalSettings
from tests.unit.signal_comparison.labelled import labelled

PROMPTS = [f"p{i}" for i in range(4)]
# By likelihood a is the better answer, by ranks b is; b's are twice as long.
ANSWERS = {p: {"a": (1.0, 3, -3.0, 300.0), "b": (1.0, 6, -12.0, 12.0)} for p in PROMPTS}
IDS = {text_id(p): p for p in PROMPTS}


def sets(answers=ANSWERS, fits=lambda prompt, text: True, **settings):
    trainable = Trainable({"a": "keep", "b": "keep"}, False, fits)
    chosen = FitSignalSettings(signals=["rank_surprisal"], alphas=[0.4], **settings)
    table, notes = signal_sets(labelled(answers), IDS, trainable, chosen)
    found = {}
    for row in table.to_pylist():
        found.setdefault(row["strategy"], []).append((IDS[row["prompt_id"]], row["teacher"]))
    return found, notes


def test_each_reward_s_choices_up_to_the_tokens_of_the_smallest_set():
    # a's answers have 12 tokens, b's 24: at 12 tokens there is room for two of b's.
    found, notes = sets()
    assert found == {
        "mean_log_likelihood_alpha_0.4": [(p, "a") for p in PROMPTS],
        "rank_surprisal_alpha_0.4": [("p0", "b"), ("p1", "b")],
    }
    assert notes["own"] == "mean_log_likelihood_alpha_0.4" and notes["budget"] == 12
    assert [n["tokens"] for n in notes["candidates"].values()] == [12, 12]
    assert [n["available"] for n in notes["candidates"].values()] == [12, 24]


def test_teachers_alone_and_a_budget():
    found, notes = sets(teachers=True, tokens=7)
    assert {name: len(own) for name, own in found.items()} == {
        "mean_log_likelihood_alpha_0.4": 2, "rank_surprisal_alpha_0.4": 1,
        "teacher_a": 2, "teacher_b": 1,
    }  # fmt: skip
    assert notes["candidates"]["teacher_b"] == {
        "signal": None, "alpha": None, "teacher": "b", "examples": 1, "tokens": 6, "available": 24,
    }  # fmt: skip


def test_answers_that_are_too_long_are_no_examples():
    found, notes = sets(fits=lambda prompt, text: text.startswith("a"))
    assert list(found) == list(notes["candidates"]) == ["mean_log_likelihood_alpha_0.4"]
    assert notes["left_out"] == ["rank_surprisal_alpha_0.4"]
    with pytest.raises(PersynError, match="No calibration answer that label's reward chooses"):
        sets(fits=lambda prompt, text: False)


@given(st.integers(2, 60), st.integers(0, 9))
def test_held_out_prompts_are_a_share_and_do_not_depend_on_the_order(n, seed):
    prompts, settings = [text_id(str(i)) for i in range(n)], FitSignalSettings(held_out=0.4)
    train, held = hold_out(prompts, settings, seed)
    assert len(held) == round(0.4 * n) and sorted(train + held) == sorted(prompts)
    assert hold_out(prompts[::-1], settings, seed) == (train, held)


@pytest.mark.parametrize(("n", "share", "what"), [(1, 0.3, "to answer"), (2, 0.9, "to train on")])
def test_too_few_prompts_are_refused(n, share, what):
    with pytest.raises(PersynError, match=f"{n} calibration prompts cannot be .* left {what}"):
        hold_out([str(i) for i in range(n)], FitSignalSettings(held_out=share), 1)
