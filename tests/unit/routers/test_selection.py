"""The choice among routers by nested cross-validation, on scores that are known."""

import numpy as np
import pytest

from persyn_kedro.domain.reporting import selection_figures
from persyn_kedro.domain.routers.selection import select

PROMPTS = [f"p{i}" for i in range(60)]
BEST = np.arange(60) % 3
REWARDS = np.where(np.eye(3)[BEST] > 0, 1.0, 0.2)
REWARDS[:, 0] += 0.1  # the constant's


def candidates(calls: list) -> object:
    """Return scores by name: a constant, one that is right, one that is always wrong."""

    def scores(name, fitted, rewards, scored, at_random):  # noqa: ARG001
        assert not {*fitted} & {*scored} and len(fitted) == len(rewards)
        calls.append((name, len(fitted), len(scored)))
        right = np.eye(3)[[BEST[PROMPTS.index(p)] for p in scored]]
        table = {"constant": np.tile(rewards.mean(axis=0), (len(scored), 1))}
        return {**table, "right": right, "wrong": -right}[name]

    return scores


def test_the_best_candidate_wins_with_an_honest_figure() -> None:
    calls: list = []
    names = ["constant", "wrong", "right"]
    found = select(PROMPTS, REWARDS, names, candidates(calls), folds=5, seed=0)
    assert (found["chosen"], found["because"], found["n"]) == ("right", "best", 60)
    assert found["chosen_in_folds"] == {"right": 5}
    assert found["candidates"]["right"]["regret"]["value"] == pytest.approx(0)
    # The constant is right on a third of the prompts, and loses 0.7 on the others.
    constant = found["candidates"]["constant"]
    assert constant["regret"]["value"] == pytest.approx(2 / 3 * 0.7)
    assert constant["to_constant"]["value"] == 0
    nested = found["nested"]["to_constant"]
    assert nested["value"] == pytest.approx(-2 / 3 * 0.7)
    assert nested["interval"][0] < nested["value"] < nested["interval"][1] < 0
    assert len(calls) == 3 * (5 + 10)  # single folds, and pairs of them
    (sentence,) = selection_figures.sentences(found)
    assert "The right router won among constant, wrong, right, and in 5 of 5 folds" in sentence


def test_where_nothing_beats_the_constant_it_routes_and_the_report_says_so() -> None:
    found = select(PROMPTS, REWARDS, ["constant", "wrong"], candidates([]), folds=5, seed=0)
    assert (found["chosen"], found["because"]) == ("constant", "constant")
    (sentence,) = selection_figures.sentences(found)
    assert sentence.startswith("No candidate beats always choosing the best teacher")


def test_a_choice_that_is_luck_does_not_stand_without_its_prompts() -> None:
    """Routers of pure noise: one wins on all prompts, but not when it is measured honestly."""
    names = ["constant", *(f"noise {i}" for i in range(30))]

    def scores(name, fitted, rewards, scored, at_random):  # noqa: ARG001
        if name == "constant":
            return np.tile(rewards.mean(axis=0), (len(scored), 1))
        seed = int(name[6:])
        return np.array([np.random.default_rng([seed, int(p[1:])]).random(2) for p in scored])

    rewards = np.random.default_rng(5).random((60, 2))
    found = select(PROMPTS, rewards, names, scores, folds=5, seed=0)
    figures = found["candidates"]
    best = min(figures, key=lambda name: figures[name]["regret"]["value"])
    assert figures[best]["to_constant"]["value"] < -0.02  # it looks better
    assert found["nested"]["to_constant"]["value"] > figures[best]["to_constant"]["value"]


def test_too_few_prompts_are_not_compared() -> None:
    found = select(PROMPTS[:8], REWARDS[:8], ["constant", "right"], candidates([]), 5, 0)
    assert (found["chosen"], found["because"], found["candidates"]) == ("constant", "few", {})
    assert "8 prompts with two valid teachers are too few" in selection_figures.sentences(found)[0]
    assert selection_figures.rows(found) == []


def test_prompts_that_cannot_be_compared_are_left_out() -> None:
    rewards = REWARDS.copy()
    rewards[:6, 1:] = np.nan
    found = select(PROMPTS, rewards, ["constant", "right"], candidates([]), folds=4, seed=1)
    assert found["n"] == 54
