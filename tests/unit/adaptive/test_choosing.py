"""What answers say of the teachers, and whom it pays to ask next, worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from persyn_kedro.domain.adaptive.belief import Belief, _regressed, believe
from persyn_kedro.domain.adaptive.choosing import (
    best_nowhere,
    expected_saving,
    knowledge_gradient,
    next_batch,
)
from persyn_kedro.domain.rewards.reward import NOT_ASKED


def test_beliefs_by_hand() -> None:
    # One group, without ridge (fewer than 8 answers). Shrinkage 2; every teacher has one mean.
    rewards = np.array([[0.2, 0.6], [0.4, 0.8], [0.3, 0.7]])
    belief = believe(np.zeros((3, 1)), np.zeros(3, int), rewards, 2.0, 0.5)
    np.testing.assert_allclose(belief.mean, np.tile([0.3, 0.7], (3, 1)))
    # Residuals ±0.1 and 0, twice: variance 0.04 / 6; answers 3, so 1 / (3 + 2) + 1 / 3.
    np.testing.assert_allclose(belief.error, (0.04 / 6 * (1 / 5 + 1 / 3)) ** 0.5)
    assert (belief.answers == 3).all()
    # With half as many again, a third of the variance goes.
    np.testing.assert_allclose(belief.move, belief.error * (0.5 / 1.5) ** 0.5)


def test_a_group_is_shrunk_to_the_teachers_mean_and_weighs_by_its_prompts() -> None:
    # b is asked more often in group 0, where it is good; its mean weighs both groups alike.
    groups = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    good = np.where(groups[:, None] == 0, [0.5, 0.9], [0.5, 0.1])
    asked = np.array([[1, 1]] * 4 + [[1, 1]] + [[1, 0]] * 3, bool)
    rewards = np.where(asked, good, NOT_ASKED)
    belief = believe(np.zeros((8, 1)), groups, rewards, 1e-6, 0.5)
    np.testing.assert_allclose(belief.mean[:4, 1] - belief.mean[:4, 0], 0.4, atol=1e-3)
    np.testing.assert_allclose(belief.mean[4:, 1] - belief.mean[4:, 0], -0.4, atol=1e-3)
    shrunk = believe(np.zeros((8, 1)), groups, rewards, 1e9, 0.5)
    assert np.ptp(shrunk.mean[:, 1]) < 1e-6  # all groups have the teacher's mean


def test_the_knowledge_gradient_is_an_expected_maximum() -> None:
    belief = Belief(
        np.array([[0.5, 0.4, 0.1]]), np.array([[0.1, 0.2, 0.0]]), np.ones((1, 3)), np.zeros((1, 3))
    )
    found = knowledge_gradient(belief, np.ones(3, bool))[0]
    z = np.random.default_rng(0).standard_normal(200_000)
    # Of the best: what remains if it turns out worse than the second, and so on.
    expected = [
        np.maximum(0.5 + 0.1 * z, 0.4).mean() - 0.5,
        np.maximum(0.4 + 0.2 * z, 0.5).mean() - 0.5,
        0.0,
    ]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    without = knowledge_gradient(belief, np.array([True, False, True]))[0]
    assert without[1] == 0.0


def test_the_expected_saving_is_that_of_what_more_answers_can_move() -> None:
    move = np.array([[0.1, 0.1]])
    belief = Belief(np.array([[0.5, 0.5]]), 2 * move, np.ones((1, 2)), move)
    pool = np.ones(2, bool)
    # E max of two normals with standard deviation s is s / sqrt(pi).
    found = expected_saving(belief, pool, 0)
    assert found == pytest.approx(0.1 / np.pi**0.5, rel=0.05)
    assert expected_saving(replace(belief, move=move / 2), pool, 0) == pytest.approx(found / 2)
    assert expected_saving(replace(belief, move=0 * move), pool, 0) == 0.0


def test_the_variance_of_the_regression_is_that_of_a_bayesian_one() -> None:
    """scikit-learn's posterior, with the penalty and the noise that the ridge has."""
    from sklearn.linear_model import RidgeCV

    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 3))
    rest = (points @ [0.5, -0.2, 0.0] + rng.normal(0, 0.3, 40))[:, None]
    rest[30:] = np.nan
    found, variance, later = _regressed(points, rest, 2.0)
    x, y = points[:30], rest[:30, 0]
    ridge = RidgeCV(alphas=np.logspace(1, 6, 11)).fit(x, y)
    centred = x - x.mean(axis=0)
    for times, told in ((1.0, variance), (2.0, later)):
        inverse = np.linalg.inv(times * centred.T @ centred + ridge.alpha_ * np.eye(3))
        expected = [-ridge.best_score_ * p @ inverse @ p for p in points - x.mean(axis=0)]
        np.testing.assert_allclose(told[:, 0], expected)
    np.testing.assert_allclose(found[:, 0], ridge.predict(points))
    assert (later < variance).all()


def test_who_may_be_best_somewhere_stays() -> None:
    belief = Belief(
        np.array([[0.9, 0.5, 0.1], [0.1, 0.5, 0.1]]),
        np.full((2, 3), 0.02), np.ones((2, 3)), np.zeros((2, 3)),
    )  # fmt: skip
    assert best_nowhere(belief, np.ones(3, bool), 0.99).tolist() == [False, False, True]
    unsure = replace(belief, error=np.full((2, 3), 0.5))
    assert not best_nowhere(unsure, np.ones(3, bool), 0.99).any()


def test_a_batch_is_spread_and_cheap_first() -> None:
    belief = Belief(np.full((6, 2), 0.5), np.full((6, 2), 0.1), np.ones((6, 2)), np.zeros((6, 2)))
    ids = [f"p{i}" for i in range(6)]
    everything = np.ones((6, 2), bool)
    chosen = next_batch(belief, np.zeros(6, int), everything, np.array([1.0, 1.0]), 4, ids, 0)
    assert len(set(chosen[:, 0])) == 4  # one teacher of each prompt
    assert sorted(np.bincount(chosen[:, 1])) == [2, 2]
    cheap = next_batch(belief, np.zeros(6, int), everything, np.array([1.0, 99.0]), 4, ids, 0)
    assert (cheap[:, 1] == 0).all()
    nothing = next_batch(belief, np.zeros(6, int), np.zeros((6, 2), bool), np.ones(2), 4, ids, 0)
    assert nothing.shape == (0, 2)


def test_a_teacher_that_was_asked_everything_is_still_the_one_to_beat() -> None:
    """Of the first prompt, a is far better than b and c, which are equal there."""
    mean = np.array([[0.9, 0.5, 0.5], [0.1, 0.5, 0.4]])
    belief = Belief(mean, np.full((2, 3), 0.1), np.zeros((2, 3)), np.zeros((2, 3)))
    candidates = np.array([[False, True, True]] * 2)
    given = belief, np.array([0, 1]), candidates, np.ones(3), 1, ["x", "y"], 0
    assert next_batch(*given, np.ones(3, bool))[0, 0] == 1
    without_a = np.array([False, True, True])  # as if it had been dropped
    assert next_batch(*given, without_a)[0, 0] == 0
