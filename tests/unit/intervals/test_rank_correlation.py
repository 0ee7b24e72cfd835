"""Spearman's correlation and its interval, by hand."""

import pytest

from persyn_kedro.domain.intervals.rank_correlation import spearman


def test_interval_worked_by_hand():
    # Ranks 1 2 3 4 5 against 2 1 4 3 5: squared differences 1 + 1 + 1 + 1 + 0 = 4,
    # rho = 1 - 6 * 4 / (5 * 24) = 0.8. atanh(0.8) = 1.0986, the error is sqrt(1.32 / 2) = 0.8124,
    # so z = 1.0986 -+ 1.95996 * 0.8124 = -0.4937 and 2.6909; tanh: -0.4571 and 0.9908.
    found = spearman([1, 2, 3, 4, 5], [20, 10, 40, 30, 50], 0.95)
    assert found["value"] == pytest.approx(0.8) and found["n"] == 5
    assert found["interval"] == pytest.approx([-0.4571, 0.9908], abs=1e-4)


def test_few_or_equal_values():
    assert spearman([1, 2, 3], [1, 2, 3], 0.95) == {"value": 1.0, "interval": None, "n": 3}
    assert spearman([1, 2, 3, 4], [5, 5, 5, 5], 0.95) is None
    assert spearman([1], [1], 0.95) is None


def test_four_values_in_order_are_no_certainty():
    # 1 in 24 orders is that one by chance. Counted as 1 - 6 / 60 = 0.9: atanh(0.9) = 1.4722, the
    # error is sqrt(1.405 / 1) = 1.1853, so z = 1.4722 - 1.95996 * 1.1853 = -0.8510; tanh: -0.6916.
    found = spearman([1, 2, 3, 4], [1, 2, 3, 4], 0.95)
    assert found["value"] == 1.0
    assert found["interval"] == pytest.approx([-0.6916, 1.0], abs=1e-4)
    other = spearman([1, 2, 3, 4], [4, 3, 2, 1], 0.95)
    assert other["interval"] == pytest.approx([-1.0, 0.6916], abs=1e-4)
    many = spearman(range(30), range(30), 0.95)["interval"]
    assert 0.99 < many[0] < many[1] == 1.0
