"""Learnability of a response as a function of the student's stored token statistics.

A signal is higher if the response is easier to learn (METHOD.md, "Signals of learnability").
``statistics`` has ``tokens``, ``sum_logp``, ``sum_rank_100``, ``sum_p2``, ``sum_p_true``, ``logp``
and ``local_logp`` (``schemas.STORED_STATISTICS``). Another signal does not need the student to run
again, except ``local_likelihood``, which has a pass of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.label import LOCAL_LIKELIHOOD, LabelSettings
from persyn_kedro.foundations.settings.plugins import is_own, load_function
from persyn_kedro.foundations.tables.schemas import STORED_STATISTICS

VERSION = 1  # raise it when the same inputs give another result

Statistics = Mapping[str, Any]


@dataclass(frozen=True)
class Signal:
    """How easily the student learns from responses.

    Attributes:
        of: a function of one response's statistics, or, if ``pooled``, of those of all responses
            together; a value is None if there is none.
        reads: the statistics that it reads.
        needs: the statistic without which a response has no value.
    """

    of: Callable[[Any], Any]
    reads: tuple[str, ...]
    pooled: bool = False
    needs: str = "sum_logp"


def mean_log_likelihood(statistics: Statistics) -> float:
    """Return the mean token log-likelihood r_l, in nats (METHOD.md, section 1)."""
    return statistics["sum_logp"] / statistics["tokens"]


def rank_surprisal(statistics: Statistics) -> float | None:
    """Return minus the rank-surprisal ratio: ranks over nats (RSR, arXiv 2601.14249)."""
    surprisal = -statistics["sum_logp"]
    return -statistics["sum_rank_100"] / surprisal if surprisal > 0 else None


def brier(statistics: Statistics) -> float:
    """Return minus the mean Brier score of the student's predictions of a token, -2 to 0."""
    return -_sum_brier(statistics) / statistics["tokens"]


def _sum_brier(statistics: Statistics) -> float:
    """Return the sum over tokens of the sum over the vocabulary of (p - 1 if true)^2."""
    return statistics["sum_p2"] - 2 * statistics["sum_p_true"] + statistics["tokens"]


def lark(pool: Sequence[Statistics]) -> list[float | None]:
    """Return LARK's gain of each response among a pool (arXiv 2605.30651), times the pool's size.

    A response that the student predicts with certainty has no rate and no gain.
    """
    lengths = np.array([s["tokens"] for s in pool], np.float64)
    nll = -np.array([s["sum_logp"] for s in pool], np.float64)
    errors = np.array([_sum_brier(s) for s in pool], np.float64)
    known = nll > 0
    rates = np.divide(errors, nll, out=np.full(len(pool), np.nan), where=known)
    if not known.any():
        return [None] * len(pool)
    mean = (lengths[known] @ rates[known]) / lengths[known].sum()
    gains = lengths / lengths[known].mean() * (2 * rates - mean)
    return [None if np.isnan(gain) else float(gain) for gain in gains]


def worst_window(statistics: Statistics, width: int) -> float:
    """Return the lowest mean log-likelihood of any ``width`` tokens in a row, in nats."""
    logp = np.asarray(statistics["logp"], np.float64)
    width = min(width, len(logp))
    sums = np.concatenate([[0.0], np.cumsum(logp)])
    return float((sums[width:] - sums[:-width]).min() / width)


def local_likelihood(statistics: Statistics) -> float:
    """Return the mean log-likelihood of a sentence given few before it, in nats (``local``)."""
    return statistics["local_logp"]


def signal_of(name: str, window: int = 32) -> Signal:
    """Return a signal by its name; ``window`` is ``worst_window``'s width.

    Raises:
        PersynError: a signal of the user's own does not exist or does not take one argument.
    """
    if is_own(name):
        return Signal(load_function(name, "statistics"), tuple(STORED_STATISTICS.names[1:]))
    of_tokens = ("tokens", "sum_logp")
    return {
        "mean_log_likelihood": Signal(mean_log_likelihood, of_tokens),
        "rank_surprisal": Signal(rank_surprisal, (*of_tokens, "sum_rank_100")),
        "brier": Signal(brier, (*of_tokens, "sum_p2", "sum_p_true")),
        "lark": Signal(lark, (*of_tokens, "sum_p2", "sum_p_true"), pooled=True),
        "worst_window": Signal(partial(worst_window, width=window), (*of_tokens, "logp")),
        LOCAL_LIKELIHOOD: Signal(local_likelihood, (*of_tokens, "local_logp"), needs="local_logp"),
    }[name]


def learnability(rows: Sequence[Statistics], settings: LabelSettings) -> dict[str, float]:
    """Return ``settings.learnability`` of each response that has a value, by response_key.

    Args:
        rows: the responses' statistics, with the columns that the signal reads. The signal ``lark``
            compares them with one another.

    Raises:
        PersynError: the signal raised or did not return a number, or its statistic is missing.
    """
    name = settings.learnability
    signal = signal_of(name, settings.window)
    scored = [row for row in rows if row["tokens"] and row[signal.needs] is not None]
    lacking = signal.needs != "sum_logp" and any(row["sum_logp"] is not None for row in rows)
    if lacking and not scored:
        raise PersynError(
            f"The token statistics lack what {name} needs, the student's reading sentence by "
            "sentence: set label.local to true and run `kedro run --pipelines=label`."
        )
    if signal.pooled:
        values = signal.of(scored)
    else:
        values = [_value(signal, name, row) for row in scored]
    pairs = zip(scored, values, strict=True)
    return {row["response_key"]: float(value) for row, value in pairs if value is not None}


def _value(signal: Signal, name: str, statistics: Statistics) -> float | None:
    try:
        if "logp" in statistics:  # NumPy's float16, whose sums would be float16 too
            statistics = {**statistics, "logp": list(map(float, statistics["logp"]))}
        value = signal.of(statistics)
        return None if value is None else float(value)
    except Exception as error:  # user code may raise anything
        raise PersynError(
            f"Signal {name} failed on response {statistics['response_key']}: "
            f"{type(error).__name__}: {error}."
        ) from error
