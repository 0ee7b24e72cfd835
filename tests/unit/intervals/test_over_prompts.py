"""Correlations and ratios whose prompts are resampled, against scipy and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import spearmanr

from persyn_kedro.domain.intervals import bootstrap
from persyn_kedro.domain.intervals.bootstrap import (
    mean_over_prompts,
    ratio_over_prompts,
    resampled_counts,
)
from persyn_kedro.domain.intervals.rank_correlation import spearman_over_prompts, spearman_within
from persyn_kedro.domain.intervals.simultaneous import _resampled_means

VALUES = st.lists(st.integers(0, 3), min_size=12, max_size=12)


@settings(max_examples=25)
@given(VALUES, VALUES, st.integers(0, 5))
def test_the_interval_is_that_of_answers_drawn_by_prompt_again_and_again(x, y, seed) -> None:
    """The same draws with the answers really repeated, and scipy's ranks."""
    x, y, prompts = np.array(x, float), np.array(y, float), np.repeat([7, 3, 9, 4], 3)
    found = spearman_over_prompts(x, y, prompts, 100, 0.9, seed)
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert found is None
        return
    numbers = np.repeat([2, 0, 3, 1], 3)  # in the order of the prompts' numbers
    draws = []
    for counts in np.concatenate([*resampled_counts(4, 100, np.random.default_rng(seed))]):
        places = np.repeat(np.arange(12), counts[numbers].astype(int))
        if len(set(x[places])) > 1 and len(set(y[places])) > 1:
            draws.append(spearmanr(x[places], y[places]).statistic)
    assert found["value"] == pytest.approx(spearmanr(x, y).statistic)
    assert found["interval"] == pytest.approx(np.quantile(draws, [0.05, 0.95]).tolist())


def test_within_prompts_only_those_in_which_both_vary_count() -> None:
    x = np.array([1.0, 2, 3, 5, 5, 1, 2])
    y = np.array([9.0, 1, 4, 1, 2, 3, 4])
    prompts = np.array([0, 1, 0, 2, 2, 1, 0])  # 0: (1, 9), (3, 4), (2, 4); 1: (2, 1), (1, 3)
    expected = [spearmanr([1, 3, 2], [9, 4, 4]).statistic, -1.0]
    assert spearman_within(x, y, prompts) == pytest.approx(expected)


def test_a_ratio_of_sums_resamples_prompts() -> None:
    above, below = np.array([1.0, 0, 3]), np.array([1.0, 0, 4])
    found = ratio_over_prompts(above, below, 500, 0.95, 1)
    assert found is not None
    assert found.value == 4 / 5
    assert (found.low, found.high) == (0.75, 1.0)  # 3 / 4 alone, or 1 / 1 alone
    assert ratio_over_prompts(above, np.zeros(3), 500, 0.95, 1) is None


def test_small_blocks_give_the_same_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    x, prompts = rng.integers(0, 5, 114).astype(float), np.repeat(np.arange(57), 2)
    y, students = x + rng.random(114), [rng.random((3, 57)), rng.random((1, 57))]

    def figures() -> np.ndarray:
        own = (1003, 0.9, 3)
        shown = [mean_over_prompts(y, *own), ratio_over_prompts(x, y, *own)]
        ends = [end for one in shown if one is not None for end in (one.low, one.high)]
        correlation = spearman_over_prompts(x, y, prompts, *own)
        assert correlation is not None
        means = np.concatenate([*_resampled_means(students, 1003, 3)])
        return np.concatenate([ends, correlation["interval"], means])

    whole = figures()
    monkeypatch.setattr(bootstrap, "BLOCK", 57 * 40)
    blocks = [*resampled_counts(57, 1003, np.random.default_rng(3))]
    assert {len(block) for block in blocks[:-1]} == {32}
    assert sum(map(len, blocks)) == 1003
    assert figures() == pytest.approx(whole, rel=1e-12)


def test_a_seed_s_draws_are_made_once_and_cannot_be_changed() -> None:
    (first,), (again,) = resampled_counts(5, 40, 3), resampled_counts(5, 40, 3)
    assert first is again
    (drawn,) = resampled_counts(5, 40, np.random.default_rng(3))
    assert np.array_equal(first, drawn)
    with pytest.raises(ValueError, match="read-only"):
        first += 1
    (other,) = resampled_counts(5, 40, 4)
    assert not np.array_equal(first, other)


def test_students_seeds_are_drawn_after_all_prompts() -> None:
    """As if all draws were in memory: the order of the draws is part of the numbers."""
    rng, students = np.random.default_rng(7), [np.arange(6.0).reshape(2, 3), np.ones((3, 3))]
    (prompts,) = resampled_counts(3, 50, rng)
    expected = []
    for own in students:
        (seeds,) = resampled_counts(len(own), 50, rng)
        expected.append(np.einsum("rs,sp,rp->r", seeds / len(own), own, prompts / 3))
    assert np.array([*_resampled_means(students, 50, 7)]) == pytest.approx(np.array(expected))
