"""Signals of learnability against numbers worked out by hand, on two predicted tokens."""

import math

import numpy as np
import pytest

from persyn_kedro.domain.learnability.signals import learnability, signal_of
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.label import SIGNALS, LabelSettings

LN2 = math.log(2)


def statistics(*tokens, key="k", local=None):
    """Return the statistics of (predicted distribution, true index) for each token."""
    p = [distribution[true] for distribution, true in tokens]
    return {
        "response_key": key,
        "tokens": len(tokens),
        "sum_logp": sum(map(math.log, p)),
        "sum_rank_100": sum(1 + sum(q > d[t] for q in d) for d, t in tokens),
        "sum_p2": sum(q * q for d, _ in tokens for q in d),
        "sum_p_true": sum(p),
        "logp": np.array([math.log(x) for x in p], np.float16),
        "local_logp": local,
    }


# The first token is the second most likely with 1/4, the next the most likely with 1/2.
ANSWER = statistics(([0.25, 0.75], 0), ([0.5, 0.25, 0.25], 0), local=-0.7)
# One token, of two equally likely.
SHORT = statistics(([0.5, 0.5], 1), key="s", local=-0.2)


def value(name, *rows, **settings):
    return learnability(rows, LabelSettings(learnability=name, **settings))


def test_signals_of_one_answer():
    # sum of log p: -2 ln 2 - ln 2; ranks 2 and 1.
    assert value("mean_log_likelihood", ANSWER)["k"] == pytest.approx(-3 * LN2 / 2)
    assert value("rank_surprisal", ANSWER)["k"] == pytest.approx(-3 / (3 * LN2))
    # (0.25 - 1)^2 + 0.75^2 = 1.125; (0.5 - 1)^2 + 2 * 0.25^2 = 0.375; their mean is 0.75.
    assert value("brier", ANSWER)["k"] == pytest.approx(-0.75)
    assert value("local_likelihood", ANSWER)["k"] == -0.7


def test_lark_weighs_an_answer_by_its_length_and_its_rate_among_all():
    # rho = Brier / NLL: 1.5 / (3 ln 2) and 0.5 / ln 2, so both are 0.5 / ln 2, as is their mean.
    # Lengths 2 and 1, of mean 1.5: gains 4/3 and 2/3 of (2 - 1) * 0.5 / ln 2.
    both = value("lark", ANSWER, SHORT)
    assert both == pytest.approx({"k": 4 / 3 * 0.5 / LN2, "s": 2 / 3 * 0.5 / LN2})
    # With rates 0.5 / ln 2 and 1.28 / ln 5 (p = 1/5 for the true of two), lengths 2 and 1:
    unsure = statistics(([0.8, 0.2], 1), key="u")
    a, b = 0.5 / LN2, 1.28 / math.log(5)
    mean = (2 * a + b) / 3
    found = value("lark", ANSWER, unsure)
    assert found == pytest.approx({"k": 4 / 3 * (2 * a - mean), "u": 2 / 3 * (2 * b - mean)})


def test_the_worst_window_is_the_least_likely_run_of_tokens():
    row = {**ANSWER, "tokens": 5, "logp": np.array([-1, -4, -2, 0, -5], np.float16)}
    assert value("worst_window", row, window=1)["k"] == -5
    assert value("worst_window", row, window=2)["k"] == -3  # -4, -2
    assert value("worst_window", row, window=3)["k"] == pytest.approx(-7 / 3)  # the first and last
    assert value("worst_window", row)["k"] == pytest.approx(-12 / 5)  # shorter than the window


def test_what_the_student_predicts_with_certainty_has_no_rate():
    certain = statistics(([1.0, 0.0], 0))
    assert value("rank_surprisal", certain) == {} == value("lark", certain)
    assert value("brier", certain) == {"k": 0.0}
    assert value("lark", certain, SHORT) == pytest.approx({"s": 0.5 / LN2})


@pytest.mark.parametrize("name", SIGNALS)
def test_unscored_answers_have_no_value(name):
    names = ("sum_logp", "sum_rank_100", "sum_p2", "sum_p_true", "logp", "local_logp")
    nothing = dict.fromkeys(names)
    empty, too_long = {"response_key": "e", "tokens": 0}, {"response_key": "l", "tokens": 9}
    rows = ({**empty, **nothing}, {**too_long, **nothing})
    assert value(name, *rows) == {}
    assert value(name, SHORT, *rows).keys() == {"s"}
    assert set(signal_of(name).reads) <= set(ANSWER)


def test_statistics_without_the_local_pass_are_refused():
    with pytest.raises(PersynError, match="set label.local to true and run"):
        value("local_likelihood", {**ANSWER, "local_logp": None})


def test_local_likelihood_has_the_student_read_sentence_by_sentence():
    assert LabelSettings(learnability="local_likelihood").local
    assert not LabelSettings(learnability="brier").local
    with pytest.raises(ValueError, match="local_likelihood needs local: true"):
        LabelSettings(learnability="local_likelihood", local=False)
