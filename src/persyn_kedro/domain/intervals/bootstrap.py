"""Bootstrap intervals over prompts."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

VERSION = 1  # raise it when the same inputs give another result

BLOCK = 2**22  # counts in memory at once
_ROWS = 16  # products round rows in groups: with a multiple, blocks change no bit


@dataclass(frozen=True)
class Estimate:
    """A mean with its percentile interval and bootstrap standard error."""

    value: float
    low: float
    high: float
    standard_error: float

    def as_dict(self) -> dict[str, float | list[float]]:
        """Return it as a JSON-able dict."""
        return {
            "value": self.value,
            "interval": [self.low, self.high],
            "standard_error": self.standard_error,
        }


def resampled_counts(
    n: int, resamples: int, seed: int | np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield how often each of n items is drawn with replacement: ``resamples`` rows in all.

    The rows, (some, n) float64 at a time and not to be written to, are the same whatever the size
    of a block. A seed's draws are made once for the many means over as many prompts, if they are
    few enough to be kept.
    """
    if not isinstance(seed, np.random.Generator):
        if n * resamples <= BLOCK // 4:
            return iter((_kept_counts(n, resamples, seed),))
        seed = np.random.default_rng(seed)
    return _drawn(n, resamples, seed)


def _drawn(n: int, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    most = max(1, BLOCK // n // _ROWS) * _ROWS
    for start in range(0, resamples, most):
        rows = min(most, resamples - start)
        yield rng.multinomial(n, np.full(n, 1 / n), size=rows).astype(np.float64)


@lru_cache(maxsize=4)
def _kept_counts(n: int, resamples: int, seed: int) -> np.ndarray:
    (counts,) = _drawn(n, resamples, np.random.default_rng(seed))
    counts.flags.writeable = False
    return counts


def estimate(value: float, draws: np.ndarray, confidence: float) -> Estimate:
    """Return a value with the percentile interval of its bootstrap draws."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high), float(np.std(draws, ddof=1)))


def ratio_over_prompts(
    numerators: np.ndarray, denominators: np.ndarray, resamples: int, confidence: float, seed: int
) -> Estimate | None:
    """Return the ratio of two sums of (n,) values, one per prompt, resampling prompts.

    Draws whose denominator is 0 are left out. None if the denominators' sum is 0.
    """
    if not denominators.sum():
        return None
    drawn = resampled_counts(len(denominators), resamples, seed)
    sums = [(counts @ numerators, counts @ denominators) for counts in drawn]
    above, below = map(np.concatenate, zip(*sums, strict=True))
    ratio = numerators.sum() / denominators.sum()
    return estimate(ratio, above[below > 0] / below[below > 0], confidence)


def mean_over_prompts(
    values: np.ndarray, resamples: int, confidence: float, seed: int
) -> Estimate | None:
    """Return the mean of (n,) values, one per prompt, resampling prompts; None for n = 0."""
    if not len(values):
        return None
    drawn = resampled_counts(len(values), resamples, seed)
    draws = np.concatenate([counts @ values for counts in drawn]) / len(values)
    return estimate(values.mean(), draws, confidence)
