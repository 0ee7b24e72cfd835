"""What a router could gain at most, by hand."""

import numpy as np
import pytest

from persyn_kedro.domain.rewards.reward import NOT_ASKED
from persyn_kedro.domain.router_comparison.prospects import routing_prospects

TEACHERS = ["big", "small", "poor"]
NAN = np.nan
REWARDS = np.array(
    [
        [1.0, 0.0, 0.5],
        [0.2, 0.8, 0.1],
        [0.9, 0.9, NAN],  # a tie is no reason to go elsewhere
        [0.7, NAN, NAN],  # one valid teacher: nothing to choose
    ]
)
TOKENS = np.array([[40.0, 10.0, 20.0]] * 4)


def test_the_room_is_that_above_the_best_constant() -> None:
    found = routing_prospects(REWARDS, TOKENS, TEACHERS, 500, 0.9, 1)
    assert found is not None
    assert (found["n"], found["constant"]) == (3, "big")  # means 2.1, 1.7 and 0.6, by 3
    assert found["room"]["value"] == pytest.approx(0.6 / 3)
    low, high = found["room"]["interval"]
    assert 0 <= low < 0.2 < high <= 0.6
    assert found["elsewhere"] == pytest.approx(1 / 3)
    assert found["spread"] == pytest.approx(1.5 / 3)
    assert found["frontier"] == ["big", "small"]  # poor takes more than small for less


def test_the_best_of_teachers_that_were_not_asked_is_not_known() -> None:
    partial = np.where(np.arange(3) == 2, NOT_ASKED, REWARDS)
    with pytest.raises(ValueError, match="every teacher's answer"):
        routing_prospects(partial, TOKENS, TEACHERS, 500, 0.9, 1)
    assert routing_prospects(REWARDS[3:], TOKENS[3:], TEACHERS, 500, 0.9, 1) is None
