"""The scales of quality and learnability: by hand, by scipy, and for any values."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import rankdata

from persyn_kedro.domain.rewards.scales import normalise
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.marks import lasting
from tests.unit.rewards.test_rewards import rewards_of

NAN = float("nan")
PHI = NormalDist().cdf
WAYS = ["prompt_minmax", "prompt_z", "pool_z", "pool_rank"]
# Used: 1, 2, 3 and 2, 6. Of the first prompt the mean is 2 and the variance 2/3; of the second
# 4 and 4; of all five 2.8 and (3.24 + 0.64 + 0.04 + 0.64 + 10.24) / 5 = 2.96.
VALUES = np.array([[1.0, 2.0, 3.0], [2.0, 100.0, 6.0]])
VALID = np.array([[True, True, True], [True, False, True]])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("prompt_minmax", [[0, 0.5, 1], [0, NAN, 1]]),
        ("prompt_z", [[PHI(-(1.5**0.5)), 0.5, PHI(1.5**0.5)], [PHI(-1), NAN, PHI(1)]]),
        (
            "pool_z",
            [[PHI((v - 2.8) / 2.96**0.5) for v in row] for row in ([1, 2, 3], [2, NAN, 6])],
        ),
        # Of 1, 2, 2, 3, 6: the share below, and half of that at the same value.
        ("pool_rank", [[0.1, 0.4, 0.7], [0.4, NAN, 0.9]]),
    ],
)
def test_by_hand(how, expected):
    np.testing.assert_allclose(normalise(VALUES, VALID, how), expected, atol=1e-12)


@pytest.mark.parametrize("how", WAYS)
def test_values_without_range_are_no_preference_and_invalid_ones_have_no_part(how):
    same = normalise(np.array([[0.3, 0.3, NAN], [0.3, np.inf, 0.3]]), np.ones((2, 3)), how)
    np.testing.assert_array_equal(same, [[0.5, 0.5, NAN], [0.5, NAN, 0.5]])
    none = normalise(np.full((2, 2), NAN), np.ones((2, 2)), how)
    np.testing.assert_array_equal(none, np.full((2, 2), NAN))


NUMBERS = arrays.arrays(np.float64, (4, 3), elements=st.integers(-40, 40).map(lambda n: n / 8))
MASKS = arrays.arrays(np.bool_, (4, 3))


@given(NUMBERS, MASKS)
@settings(deadline=None)
def test_ranks_are_those_of_scipy(values, valid):
    found = normalise(values, valid, "pool_rank")[valid]
    np.testing.assert_allclose(found, (rankdata(values[valid]) - 0.5) / max(1, valid.sum()))


@given(NUMBERS, MASKS, st.sampled_from(WAYS), st.permutations(range(3)))
@settings(deadline=None)
def test_any_values_keep_their_order_from_0_to_1_whatever_the_order_of_the_teachers(
    values, valid, how, order
):
    found = normalise(values, valid, how)
    assert (np.isfinite(found) == valid).all()
    assert ((found >= 0) & (found <= 1))[valid].all()
    for row, scaled in zip(np.where(valid, values, NAN), found, strict=True):
        higher = row[:, None] > row[None, :]
        assert (scaled[:, None] > scaled[None, :])[higher].all()
    again = normalise(values[:, order], valid[:, order], how)
    np.testing.assert_allclose(again, found[:, order], atol=1e-12)
    if how.startswith("pool"):  # equal values are equal in all prompts
        flat, scaled = values[valid], found[valid]
        same = flat[:, None] == flat[None, :]
        np.testing.assert_allclose((scaled[:, None] - scaled[None, :])[same], 0, atol=1e-12)


# Learnability differs by 0.01 nats in p and by 1 in q; quality is the same everywhere.
CLOSE = {
    "p": {"a": (1.0, -1.00, 1), "b": (1.0, -1.01, 1)},
    "q": {"a": (1.0, -1.00, 1), "b": (1.0, -2.00, 1)},
}


@pytest.mark.parametrize("how", WAYS)
def test_over_the_pool_a_small_difference_stays_small(how):
    a, b, c, d = rewards_of(CLOSE, ["a", "b"], alpha=1.0, normalise=how)["reward"].to_pylist()
    small, large = a - b, c - d
    assert small == pytest.approx(large) if how.startswith("prompt") else 0 < small < large
    if how == "pool_rank":  # of -1, -1, -1.01, -2
        assert [a, b, c, d] == [0.75, 0.375, 0.75, 0.125]


def test_an_answer_of_several_is_on_the_scale_of_the_teachers_terms():
    from tests.unit.rewards.test_several_samples import THREE, rewards_of as several

    # Learnability: terms -2, -1, -4; a's answers -1, -2, -3 of these are above 5/6, 1/2 and 1/3.
    a, b, c = several(THREE, alpha=1.0, normalise="pool_rank")
    assert [a["reward"], b["reward"], c["reward"]] == pytest.approx([3 / 6, 5 / 6, 1 / 6])
    assert a["reward_sd"] == pytest.approx(np.std([5 / 6, 3 / 6, 2 / 6], ddof=1))


def test_the_papers_is_in_no_record():
    assert "normalise" not in lasting(LabelSettings())
    assert lasting(LabelSettings(normalise="pool_z"))["normalise"] == "pool_z"
