"""Intervals against numbers worked out elsewhere."""

import pytest

from persyn_kedro.domain.intervals.shares import mean_t, newcombe_paired, wilson
from persyn_kedro.domain.student.evaluate import accuracy_summary, nll_summary


def test_wilson_gives_the_textbook_interval() -> None:
    # 81 of 263, 95 %: Newcombe (1998), Statistics in Medicine 17, table I, method 3.
    assert wilson(81, 263, 0.95) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    # 0 of 20: Newcombe, same table.
    assert wilson(0, 20, 0.95) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(0, 0, 0.95) is None


def test_the_t_interval_of_a_mean() -> None:
    # mean 2, s = 1, n = 3, t(0.975, 2) = 4.303: 2 +- 4.303 / sqrt(3)
    assert mean_t([1.0, 2.0, 3.0], 0.95) == pytest.approx((-0.484, 4.484), abs=1e-3)
    assert mean_t([1.0], 0.95) is None


def paired(both: int, won: int, lost: int, neither: int) -> list[list[int]]:
    before = [1] * both + [0] * won + [1] * lost + [0] * neither
    after = [1] * both + [1] * won + [0] * lost + [0] * neither
    return [before, after]


def test_newcombes_paired_interval() -> None:
    # Newcombe (1998), Statistics in Medicine 17:2635, table II, method 10, first and fourth rows.
    assert newcombe_paired(*paired(36, 12, 2, 0), 0.95) == pytest.approx((0.0569, 0.3404), abs=1e-4)
    assert newcombe_paired(*paired(54, 0, 0, 0), 0.95) == pytest.approx((-0.0664, 0.0664), abs=1e-4)
    assert newcombe_paired([], [], 0.95) is None


def test_an_unchanged_accuracy_is_not_certain() -> None:
    low, high = accuracy_summary([0.0, 1.0] * 10, [0.0, 1.0] * 10, 0.95)["difference_interval"]
    assert low < 0 < high


def test_unknown_answers_are_left_out_on_both_sides() -> None:
    summary = accuracy_summary([0.0, 1.0, None, 0.0], [1.0, 1.0, 1.0, None], 0.95)
    assert (summary["n"], summary["unknown"]) == (2, 2)
    assert (summary["before"], summary["after"], summary["difference"]) == (0.5, 1.0, 0.5)


def test_nll_is_a_mean_over_responses_of_nats_a_token() -> None:
    before = [
        {"response_key": "a", "tokens": 2, "sum_logp": -4.0},
        {"response_key": "b", "tokens": 4, "sum_logp": -4.0},
        {"response_key": "empty", "tokens": 0, "sum_logp": None},
    ]
    after = [{**row, "sum_logp": row["sum_logp"] and row["sum_logp"] / 2} for row in before]
    summary = nll_summary(before, after, 0.95)
    assert summary["n"] == 2
    assert (summary["before"], summary["after"]) == (1.5, 0.75)  # (4/2 + 4/4) / 2, then half


def test_the_difference_is_paired() -> None:
    # Student's sleep data (1908): mean difference 1.58, t(9) interval 0.7001 to 2.4599, as in R's
    # t.test(extra ~ group, paired = TRUE). Unpaired the interval would hold 0.
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    rows = [
        [{"response_key": str(i), "tokens": 1, "sum_logp": -v} for i, v in enumerate(values)]
        for values in (first, second)
    ]
    summary = nll_summary(*rows, 0.95)
    assert summary["difference"] == pytest.approx(1.58)
    assert summary["difference_interval"] == pytest.approx((0.7001, 2.4599), abs=1e-4)
