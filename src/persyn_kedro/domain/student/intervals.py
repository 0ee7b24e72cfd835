"""Confidence intervals of shares, means and paired differences."""

from collections.abc import Sequence

import numpy as np


def wilson(successes: float, n: int, confidence: float) -> tuple[float, float] | None:
    """Return Wilson's score interval of a share (Wilson 1927); None for n = 0."""
    from scipy.stats import norm

    if n == 0:
        return None
    z = float(norm.ppf(0.5 + confidence / 2))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def mean_t(values: Sequence[float], confidence: float) -> tuple[float, float] | None:
    """Return Student's t interval of a mean; None below two values.

    Of paired differences it is the paired interval.
    """
    from scipy.stats import t

    n = len(values)
    if n < 2:
        return None
    half = t.ppf(0.5 + confidence / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n)
    mean = float(np.mean(values))
    return float(mean - half), float(mean + half)
