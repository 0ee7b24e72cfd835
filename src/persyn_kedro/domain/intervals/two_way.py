"""The uncertainty of a mean over seeds and prompts: a two-way layout without replicates.

A student's score on a prompt varies with the prompt, with the training seed and with their
combination. The variance of the mean is estimated from the three mean squares (an analysis of
variance with two crossed random factors); the degrees of freedom are Satterthwaite's. How often
such intervals cover: ``benchmarks/coverage.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

VERSION = 2  # raise it when the same inputs give another result

POWER = 0.8  # probability of finding a difference that is called detectable


@dataclass(frozen=True)
class Certainty:
    """An interval of the mean, and the smallest true mean that would usually have been found."""

    low: float
    high: float
    detectable: float


@dataclass(frozen=True)
class Luck:
    """The seeds' mean square of a difference between two students, and its degrees of freedom."""

    mean_square: float
    freedom: int


def common_luck(scores: Sequence[np.ndarray]) -> Luck | None:
    """Return the luck of a training, estimated from m > 1 students' (seeds, prompts) scores.

    It is the mean square of student x seed, of (seeds - 1)(m - 1) degrees of freedom, so what a
    seed does to all students alike is no luck. For two students it is that of their difference.
    This takes luck to vary as much for each. None for one seed or one student; equal scores count
    once.
    """
    once = list({own.tobytes(): own for own in scores}.values())
    if len(once) < 2 or once[0].shape[0] < 2 or not once[0].size:
        return None
    means = np.stack([own.mean(axis=1) for own in once])
    rest = means - means.mean(axis=1, keepdims=True) - means.mean(axis=0) + means.mean()
    freedom = (means.shape[0] - 1) * (means.shape[1] - 1)
    return Luck(2 * once[0].shape[1] * float((rest**2).sum()) / freedom, freedom)


def certainty(values: np.ndarray, confidence: float, luck: Luck | None = None) -> Certainty | None:
    """Return the interval of the mean of (seeds, prompts) values, here paired differences.

    With one seed it covers prompts only: it holds for this one training. None with fewer than two
    prompts. A mean beyond ``detectable`` is distinguished from 0 in four cases out of five.

    Args:
        luck: the seeds' mean square, if it is known better than from these values (two or more
            seeds).
    """
    from scipy.special import ndtri, stdtrit

    seeds, prompts = values.shape
    if prompts < 2:
        return None
    variance, freedom = _variance_of_the_mean(values, luck)
    if variance == 0:
        return Certainty(float(values.mean()), float(values.mean()), 0.0)
    error = np.sqrt(variance)
    reach = float(stdtrit(freedom, 0.5 + confidence / 2))
    mean = float(values.mean())
    return Certainty(
        mean - reach * error, mean + reach * error, float((reach + ndtri(POWER)) * error)
    )


def _variance_of_the_mean(values: np.ndarray, luck: Luck | None) -> tuple[float, float]:
    """Return the variance of the mean and its degrees of freedom."""
    seeds, prompts = values.shape
    size = seeds * prompts
    of_prompts = seeds * values.mean(axis=0).var(ddof=1)
    if seeds == 1:
        return of_prompts / size, prompts - 1
    luck = luck or Luck(prompts * values.mean(axis=1).var(ddof=1), seeds - 1)
    of_seeds = luck.mean_square
    rest = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    of_rest = float((rest**2).sum()) / ((seeds - 1) * (prompts - 1))
    if of_seeds <= of_rest:  # by chance, the seeds' part comes out negative: the prompts' is left
        return of_prompts / size, prompts - 1
    variance = (of_seeds + of_prompts - of_rest) / size
    parts = (
        (of_seeds / size) ** 2 / luck.freedom
        + (of_prompts / size) ** 2 / (prompts - 1)
        + (of_rest / size) ** 2 / ((seeds - 1) * (prompts - 1))
    )
    return variance, float(np.clip(variance**2 / parts, 1.0, size - 1))
