"""How choices differ: by hand, and ranks against scipy's."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau

from persyn_kedro.domain.rewards.reward import NOT_ASKED
from persyn_kedro.domain.signal_comparison.choices import (
    best_teachers,
    compare_choices,
    rank_agreement,
)

NAN = float("nan")
OWN = np.array([[1.0, 0.5, 0.0], [0.2, 0.9, NAN], [0.5, 0.5, 0.1], [0.3, NAN, NAN]])
OTHER = np.array([[0.6, 0.9, 0.1], [0.1, 0.8, 0.7], [0.4, 0.4, 0.4], [0.9, 0.1, 0.2]])


def test_worked_example():
    # Best: 0 and 1; 1 and 1; 0 and 0 (ties go to the first); the last has one valid teacher.
    # tau: of the first's pairs two agree and one does not, 1/3; the second's one pair agrees, 1; in
    # the third all are tied in the one, so there is none.
    found = compare_choices(OWN, OTHER)
    assert found["prompts"] == 3
    assert found["changed"] == pytest.approx(1 / 3)
    assert found["agreement"] == pytest.approx((1 / 3 + 1) / 2)
    assert found["shares"] == pytest.approx([1 / 3, 2 / 3, 0])
    assert best_teachers(np.array([[NAN, NAN], [NAN, 0.1], [0.1, 0.1 + 1e-10]])).tolist() == [
        -1,
        1,
        0,
    ]


def test_a_reward_agrees_with_itself_and_with_nothing_to_compare():
    same = compare_choices(OWN, OWN)
    assert (same["changed"], same["agreement"]) == (0, 1)
    nothing = compare_choices(np.full((2, 2), NAN), np.ones((2, 2)))
    assert nothing == {"prompts": 0, "changed": None, "agreement": None, "shares": None}


def test_a_teacher_that_was_not_asked_is_in_no_pair():
    """Of an incomplete design; by both rewards alike it would seem to be the last."""
    own = np.array([[0.1, NOT_ASKED, 0.3]])
    assert compare_choices(own, own[:, ::-1])["agreement"] == -1.0
    alone = np.array([[0.1, NOT_ASKED, NAN]])
    assert np.isnan(rank_agreement(own, alone)).all()


@given(arrays(np.int8, (2, 6), elements=st.integers(-1, 4)))
def test_agreement_is_kendalls_tau_b(values):
    a, b = np.where(values < 0, NAN, values)  # -1: invalid
    found = rank_agreement(a[None], b[None])[0]
    both = np.isfinite(a) & np.isfinite(b)
    wanted = kendalltau(a[both], b[both]).statistic if both.sum() > 1 else NAN
    assert found == pytest.approx(wanted, nan_ok=True)
