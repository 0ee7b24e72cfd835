"""Metrics with hand numbers, and what must hold for any rewards."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from persyn_kedro.domain.routers.metrics import constant_ranking, router_metrics

NAN = np.nan
FIT = np.array([[0.2, 1.0, 0.0], [0.4, 0.6, NAN]])  # means 0.3, 0.8, 0: the constant is b, a, c
HOLDOUT = np.array(
    [
        [1.0, 0.5, 0.0],
        [0.2, 0.9, 0.9],
        [NAN, 0.4, 0.6],
        [NAN, 0.9, NAN],  # one valid teacher: not counted
    ]
)
SCORES = np.array([[3, 2, 1], [0, 1, 2], [9, 1, 2], [0, 0, 9]], dtype=np.float32)

rewards_arrays = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 8), st.integers(2, 5)),
    elements=st.one_of(st.just(NAN), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1)),
)


def test_hand_numbers():
    # Oracles: {a}, {b, c}, {c}. The router takes a, c, a (invalid: r = 0), then b, b, c.
    # The constant takes b thrice, then a. Regrets: 0, 0, 0.6; 0.5, 0, 0.2.
    # Chance: Hit@1 1/3, 2/3, 1/3; Hit@2 2/3, 1, 2/3; mean r 0.5, 2/3, 1/3.
    metrics = router_metrics(SCORES, HOLDOUT, FIT)
    assert metrics["n"] == 3
    assert metrics["constant_index"] == 1
    assert metrics["beats_constant"] is True
    approx = pytest.approx
    assert metrics["router"] == approx({"hit@1": 2 / 3, "hit@2": 1, "regret": 0.2})
    assert metrics["constant"] == approx({"hit@1": 1 / 3, "hit@2": 2 / 3, "regret": 0.7 / 3})
    assert metrics["random"] == approx(
        {"hit@1": 4 / 9, "hit@2": 7 / 9, "regret": (0.5 + 0.9 - 2 / 3 + 0.6 - 1 / 3) / 3}
    )


def test_ties_take_the_first_teacher():
    metrics = router_metrics(np.zeros((1, 2)), np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]]))
    assert metrics["router"]["hit@1"] == 0
    assert metrics["constant_index"] == 0
    assert metrics["beats_constant"] is False
    np.testing.assert_array_equal(constant_ranking(np.array([[0.1, 0.5, 0.5 + 5e-10]])), [1, 2, 0])


def test_no_prompt_counts():
    metrics = router_metrics(SCORES[3:], HOLDOUT[3:], FIT)
    assert metrics["n"] == 0
    assert metrics["router"] == {"hit@1": None, "hit@2": None, "regret": None}
    assert metrics["beats_constant"] is False


@settings(deadline=None)
@given(rewards_arrays)
def test_oracle_scores_are_perfect(rewards):
    metrics = router_metrics(np.nan_to_num(rewards, nan=-1), rewards, rewards)
    if metrics["n"]:
        assert metrics["router"]["hit@1"] == 1
        assert metrics["router"]["regret"] == 0
        assert metrics["constant"]["regret"] >= 0
        assert metrics["random"]["regret"] >= 0


@settings(deadline=None)
@given(rewards_arrays, st.randoms(use_true_random=False))
def test_permuting_prompts_changes_nothing(rewards, random):
    order = random.sample(range(len(rewards)), len(rewards))
    scores = np.array([[random.random() for _ in row] for row in rewards])
    before = router_metrics(scores, rewards, rewards)
    after = router_metrics(scores[order], rewards[order], rewards[order])
    assert after["n"] == before["n"]
    for name in ("router", "constant", "random"):
        assert after[name] == pytest.approx(before[name])


@settings(deadline=None)
@given(rewards_arrays)
def test_hits_rise_with_k(rewards):
    metrics = router_metrics(-np.nan_to_num(rewards), rewards, rewards)
    if metrics["n"]:
        for name in ("router", "constant", "random"):
            hits = [metrics[name][f"hit@{k}"] for k in range(1, rewards.shape[1])]
            assert hits == sorted(hits)
