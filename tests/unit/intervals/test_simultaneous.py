"""Intervals that hold all at once: the level of each, and how often the best of many misleads."""

import numpy as np
import pytest

from persyn_kedro.domain.intervals.rank_correlation import spearman
from persyn_kedro.domain.intervals.simultaneous import joint_level, joint_level_of_differences
from persyn_kedro.domain.signal_comparison import prediction
from persyn_kedro.domain.signal_comparison.prediction import Trained, predictions

RNG = np.random.default_rng(0)


def test_independent_candidates_need_sidaks_level() -> None:
    draws = RNG.normal(size=(20_000, 10)) * np.arange(1, 11)  # whatever their scale
    assert joint_level(draws, 0.95) == pytest.approx(0.95 ** (1 / 10), abs=5e-4)


def test_candidates_that_move_together_count_once() -> None:
    one = RNG.normal(size=(2000, 1))
    assert joint_level(np.hstack([one, 3 * one, -one]), 0.9) == pytest.approx(0.9, abs=1e-3)
    still = np.full((2000, 1), 0.3)
    assert joint_level(np.hstack([one, still]), 0.9) == 0.9
    assert joint_level(np.zeros((2000, 0)), 0.9) == 0.9
    mixed = np.hstack([one, one + RNG.normal(size=(2000, 1))])
    assert 0.9 < joint_level(mixed, 0.9) < 0.95  # Bonferroni's


def test_the_best_of_many_rewards_seldom_seems_to_predict_what_it_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """25 rewards and 12 students whose scores are noise: 19 in 20 times none is above 0."""
    monkeypatch.setattr(prediction, "DRAWS", 400)
    students = 12
    places = [(np.array([i]), np.array([0])) for i in range(students)]
    wrong, alone = 0, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rewards = list(rng.normal(size=(25, students, 1)))
        trained = Trained(rng.normal(size=students).tolist(), places)
        found = predictions(rewards, trained, 0.95)
        wrong += any(one is not None and one["interval"][0] > 0 for one in found)
        each = [spearman(own[:, 0].tolist(), trained.scores, 0.95) for own in rewards]
        alone += any(one is not None and one["interval"][0] > 0 for one in each)
    assert wrong <= 3  # of 20
    assert alone >= 7  # intervals for one reward each would mislead in every other comparison


def test_trainings_that_vary_independently_count_each_though_there_are_three_seeds() -> None:
    """Eight strategies' luck alone, against a reference that never varies: 0.95 to the 1/8th."""
    luck = {f"s{i}": np.tile(RNG.normal(size=(3, 1)), (1, 5)) for i in range(8)}
    scores = {"reference": np.zeros((3, 5)), **luck}
    references = dict.fromkeys(luck, "reference")
    level = joint_level_of_differences(scores, references, 20_000, 0.95, seed=1)
    assert level == pytest.approx(0.95 ** (1 / 8), abs=2e-3)
    same = {**scores, **dict.fromkeys(luck, luck["s0"])}  # the same students count once
    assert joint_level_of_differences(same, references, 2000, 0.95, seed=1) == pytest.approx(
        0.95, abs=1e-3
    )
    shared = {"reference": luck["s0"], **dict.fromkeys(luck, np.zeros((3, 5)))}
    assert joint_level_of_differences(shared, references, 2000, 0.95, seed=1) == pytest.approx(
        0.95, abs=1e-3
    )  # what they are compared with is all that varies
    assert joint_level_of_differences({}, {}, 100, 0.95, seed=1) == 0.95
