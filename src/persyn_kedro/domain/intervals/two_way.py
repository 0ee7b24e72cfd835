"""The uncertainty of a mean over seeds and prompts: a two-way layout without replicates.

A student's score on a prompt varies with the prompt, with the training seed and with their
combination. The variance of the mean is estimated from the three mean squares (an analysis of
variance with two crossed random factors); the degrees of freedom are Satterthwaite's.
"""

from dataclasses import dataclass

import numpy as np

VERSION = 1  # raise it when the same inputs give another result

POWER = 0.8  # probability of finding a difference that is called detectable


@dataclass(frozen=True)
class Certainty:
    """An interval of the mean, and the smallest true mean that would usually have been found."""

    low: float
    high: float
    detectable: float


def certainty(values: np.ndarray, confidence: float) -> Certainty | None:
    """Return the interval of the mean of (seeds, prompts) values, here paired differences.

    With one seed it covers prompts only: it holds for this one training. None with fewer than two
    prompts. A mean beyond ``detectable`` is distinguished from 0 in four cases out of five.
    """
    from scipy.stats import norm, t

    seeds, prompts = values.shape
    if prompts < 2:
        return None
    variance, freedom = _variance_of_the_mean(values)
    if variance == 0:
        return Certainty(float(values.mean()), float(values.mean()), 0.0)
    error = np.sqrt(variance)
    reach = float(t.ppf(0.5 + confidence / 2, freedom))
    mean = float(values.mean())
    return Certainty(
        mean - reach * error, mean + reach * error, float((reach + norm.ppf(POWER)) * error)
    )


def _variance_of_the_mean(values: np.ndarray) -> tuple[float, float]:
    """Return the variance of the mean and its degrees of freedom."""
    seeds, prompts = values.shape
    size = seeds * prompts
    of_prompts = seeds * values.mean(axis=0).var(ddof=1)
    if seeds == 1:
        return of_prompts / size, prompts - 1
    of_seeds = prompts * values.mean(axis=1).var(ddof=1)
    rest = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    of_rest = float((rest**2).sum()) / ((seeds - 1) * (prompts - 1))
    # At least the prompts' own part: by chance, the seeds' part may come out negative.
    variance = max(of_seeds + of_prompts - of_rest, of_prompts) / size
    if variance == 0:
        return 0.0, 1.0
    parts = (
        (of_seeds / size) ** 2 / (seeds - 1)
        + (of_prompts / size) ** 2 / (prompts - 1)
        + (of_rest / size) ** 2 / ((seeds - 1) * (prompts - 1))
    )
    return variance, float(np.clip(variance**2 / parts, 1.0, size - 1))
