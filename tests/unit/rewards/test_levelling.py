"""Rewards of incomplete designs: what is missing is neither 0 nor invalid, and choice bias."""

import numpy as np
import pyarrow as pa
import pytest

from persyn_kedro.domain.comparison.strategies.merits import mean_quality
from persyn_kedro.domain.designs.asked import Asked, with_asked
from persyn_kedro.domain.designs.balanced import balanced
from persyn_kedro.domain.rewards.levelling import levelled, teacher_means
from persyn_kedro.domain.rewards.reward import NOT_ASKED, fitted_rewards, reward_matrix

NAN = np.nan


def test_additive_rewards_are_levelled_exactly() -> None:
    # a = 0.1, 0.5, 0.9; b = -0.1, 0, 0.1. Without noise all of a prompt's effect is its own.
    full = np.array([0.1, 0.5, 0.9])[:, None] + np.array([-0.1, 0.0, 0.1])
    known = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], bool)
    found = levelled(np.where(known, full, NAN))
    np.testing.assert_allclose(found[known], np.tile([0.4, 0.5, 0.6], (3, 1))[known], atol=1e-9)
    assert np.isnan(found[~known]).all()


def test_differences_within_a_prompt_are_kept_with_any_noise() -> None:
    rng = np.random.default_rng(0)
    rewards = np.where(rng.random((40, 5)) < 0.5, rng.random((40, 5)), NAN)
    found = levelled(rewards)
    for before, after in zip(rewards, found, strict=True):
        own = np.isfinite(before)
        np.testing.assert_allclose(np.diff(after[own]), np.diff(before[own]), atol=1e-12)


def test_a_teacher_asked_on_hard_prompts_is_not_taken_for_a_bad_one() -> None:
    """The naive mean is wrong, the model of the answers right: choice bias."""
    rng = np.random.default_rng(1)
    hard = rng.random(2000) < 0.5
    truth = np.where(hard, 0.2, 0.8)[:, None] + np.array([0.1, 0.0, -0.1])
    rewards = truth + rng.normal(0, 0.05, truth.shape)
    asked = rng.random(truth.shape) < np.where(hard[:, None], [0.9, 0.5, 0.2], [0.2, 0.5, 0.9])
    seen = np.where(asked, rewards, NOT_ASKED)
    naive = teacher_means(np.where(asked, rewards, NAN))
    assert naive.argmax() == 2  # the worst one
    right = teacher_means(fitted_rewards(seen, "leave_out"))
    assert right.argmax() == 0
    np.testing.assert_allclose(right - right.mean(), [0.1, 0, -0.1], atol=0.02)


def test_what_was_not_asked_is_neither_invalid_nor_0() -> None:
    seen = np.array([[0.2, NAN, NOT_ASKED], [NOT_ASKED, 0.6, 0.4], [NAN, NOT_ASKED, NAN]])
    lost = fitted_rewards(seen, "lose", 0.0)
    assert np.isnan(lost).tolist() == [[False, False, True], [True, False, False], [True] * 3]
    assert lost[0, 0] - lost[0, 1] == pytest.approx(0.2)  # invalid: 0
    left = fitted_rewards(seen, "leave_out")
    assert np.isnan(left).tolist() == [[False, True, True], [True, False, False], [True] * 3]
    complete = np.array([[0.2, NAN], [0.5, 0.1]])
    assert fitted_rewards(complete, "leave_out") is complete


def rewards(values: np.ndarray, asked: np.ndarray, note: Asked) -> pa.Table:
    rows = [
        {
            "prompt_id": f"p{i:03}",
            "teacher": note.teachers[k],
            "reward": values[i, k],
            "quality": values[i, k],
            "valid": True,
        }
        for i, k in zip(*np.nonzero(asked), strict=True)
    ]
    return with_asked(pa.Table.from_pylist(rows), note)


def test_a_matrix_of_an_incomplete_design_says_what_was_not_asked() -> None:
    note = Asked(["a", "b"], 2, 0)
    values, asked = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([[True, False], [True, True]])
    ids, matrix = reward_matrix(rewards(values, asked, note), ["b", "a"])
    assert ids == ["p000", "p001"]
    np.testing.assert_array_equal(matrix, [[NOT_ASKED, 0.1], [0.4, 0.3]])


def test_the_strongest_of_an_adaptive_design_is_found_by_what_was_asked_at_random() -> None:
    """b is asked more where it is good: its naive mean is the higher, though a is the better."""
    rng = np.random.default_rng(2)
    kind = rng.random(600) < 0.5
    values = np.where(kind[:, None], [0.6, 0.95], [0.6, 0.15]) + rng.normal(0, 0.05, (600, 2))
    teachers = ["a", "b", "c"]
    values = np.concatenate([values, np.zeros((600, 1))], axis=1)
    note = Asked(teachers, 2, 5, {"batches": 1})
    asked = balanced([f"p{i:03}" for i in range(600)], teachers, 2, 5)
    asked[:, 1] |= kind
    table = rewards(values, asked, note)
    naive = {t: values[asked[:, k], k].mean() for k, t in enumerate(teachers)}
    found = mean_quality(table, teachers)
    assert naive["b"] > naive["a"] and found["a"] > found["b"]
    assert found["b"] == pytest.approx(0.55, abs=0.04)
