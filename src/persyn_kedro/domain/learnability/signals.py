"""Learnability of a response as a function of the student's stored token statistics.

A signal is ``signal(statistics) -> float | None``, higher if the response is easier to learn.
``statistics`` has ``tokens``, ``sum_logp``, ``sum_rank_100``, ``sum_p2``, ``sum_p_true`` and
``logp`` (``schemas.STORED_STATISTICS``). Another signal does not need the student to run again.
"""

from collections.abc import Callable, Mapping
from typing import Any

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.plugins import is_own, load_function
from persyn_kedro.foundations.tables.schemas import STORED_STATISTICS

VERSION = 1  # raise it when the same inputs give another result

Signal = Callable[[Mapping[str, Any]], float | None]


def mean_log_likelihood(statistics: Mapping[str, Any]) -> float:
    """Return the mean token log-likelihood r_l, in nats (METHOD.md, section 1)."""
    return statistics["sum_logp"] / statistics["tokens"]


SIGNALS: dict[str, tuple[Signal, tuple[str, ...]]] = {  # with the statistics that each reads
    "mean_log_likelihood": (mean_log_likelihood, ("tokens", "sum_logp")),
}


def signal_of(name: str) -> tuple[Signal, tuple[str, ...]]:
    """Return a signal and the statistics that it needs.

    Raises:
        PersynError: a signal of the user's own does not exist or does not take one argument.
    """
    if is_own(name):
        return load_function(name, "statistics"), tuple(STORED_STATISTICS.names[1:])
    return SIGNALS[name]


def learnability(signal: Signal, name: str, statistics: Mapping[str, Any] | None) -> float:
    """Return the signal of a response; NaN if it was not scored or the signal is None.

    Raises:
        PersynError: the signal raised, or did not return a number.
    """
    if not statistics or not statistics["tokens"] or statistics["sum_logp"] is None:
        return float("nan")
    try:
        if "logp" in statistics:  # NumPy's float16, whose sums would be float16 too
            statistics = {**statistics, "logp": list(map(float, statistics["logp"]))}
        value = signal(statistics)
        return float("nan") if value is None else float(value)
    except Exception as error:  # user code may raise anything
        raise PersynError(
            f"Signal {name} failed on response {statistics['response_key']}: "
            f"{type(error).__name__}: {error}."
        ) from error
