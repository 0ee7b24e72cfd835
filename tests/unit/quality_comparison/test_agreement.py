"""How far two ways of judging order the answers to a prompt alike, counted by hand."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import spearmanr

from persyn_kedro.domain.quality_comparison.agreement import COUNTS, order_agreement

DRAWN = (20, 0.95, 1)
QUALITY = st.lists(st.sampled_from([0.0, 1.0, 2.0, np.nan]), min_size=8, max_size=8)


def test_pairs_are_counted_within_prompts() -> None:
    """Prompt 0 has three pairs, prompt 1 one with an unknown answer, prompt 2 one."""
    exact = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    judge = np.array([9.0, 4.0, 3.0, 5.0, np.nan, 2.0, 2.0 + 1e-10])
    found = order_agreement(exact, judge, np.array([0, 0, 0, 1, 1, 2, 2]), *DRAWN)
    assert {name: found[name] for name in COUNTS} == {
        "alike": 1,  # 1 > 0 and 9 > 4
        "opposite": 1,  # 0 < 1, but 4 > 3
        "tied_by_first": 1,  # 1 = 1, and 9 > 3
        "tied_by_second": 0,
        "tied_by_both": 1,  # in prompt 2: 2e-10 apart is a tie
    }
    assert found["agreement"]["value"] == 0.5 and found["answers"] == 6
    known = np.isfinite(judge)
    assert found["correlation"]["value"] == pytest.approx(
        spearmanr(exact[known], judge[known]).statistic
    )


def test_without_a_pair_that_both_tell_apart_nothing_is_said() -> None:
    tied = np.array([1.0, 1.0])
    found = order_agreement(tied, np.array([1.0, 2.0]), np.array([0, 0]), *DRAWN)
    assert found["agreement"] is None and found["correlation"] is None
    none = order_agreement(np.full(2, np.nan), tied, np.array([0, 0]), *DRAWN)
    assert none["agreement"] is None and none["answers"] == 0


@given(QUALITY, QUALITY)
def test_the_other_way_round_and_upside_down(first, second) -> None:
    a, b, prompts = np.array(first), np.array(second), np.array([0, 0, 0, 1, 1, 1, 1, 2])
    one, two = order_agreement(a, b, prompts, *DRAWN), order_agreement(b, a, prompts, *DRAWN)
    against = order_agreement(a, -b, prompts, *DRAWN)
    assert (one["alike"], one["tied_by_first"]) == (two["alike"], two["tied_by_second"])
    assert (one["alike"], one["opposite"]) == (against["opposite"], against["alike"])
    same = order_agreement(a, 3 * a - 1, prompts, *DRAWN)
    assert same["agreement"] is None or same["agreement"]["value"] == 1.0
    assert same["tied_by_first"] == same["tied_by_second"] == same["opposite"] == 0
