"""Confidence intervals of shares, means and paired differences."""

from collections.abc import Sequence

import numpy as np

VERSION = 1  # raise it when the same inputs give another result


def wilson(successes: float, n: int, confidence: float) -> tuple[float, float] | None:
    """Return Wilson's score interval of a share (Wilson 1927); None for n = 0."""
    from scipy.special import ndtri

    if n == 0:
        return None
    z = float(ndtri(0.5 + confidence / 2))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def newcombe_paired(
    before: Sequence[float], after: Sequence[float], confidence: float
) -> tuple[float, float] | None:
    """Return the score interval of the difference of two paired shares, after - before.

    Newcombe 1998 (Statistics in Medicine 17:2635), method 10: Wilson's limits of both shares,
    combined using their correlation, with a continuity correction if it is positive. ``before`` and
    ``after`` are 0 or 1. Unlike a t interval it has width even if no answer changed. None for n =
    0.
    """
    n = len(before)
    if n == 0:
        return None
    pairs = [(bool(b), bool(a)) for b, a in zip(before, after, strict=True)]
    both, lost, won, neither = (
        pairs.count(kind) for kind in ((True, True), (True, False), (False, True), (False, False))
    )
    p_after, p_before = (both + won) / n, (both + lost) / n
    after_limits, before_limits = (
        wilson(both + won, n, confidence),
        wilson(both + lost, n, confidence),
    )
    assert after_limits and before_limits  # noqa: S101 - n > 0
    phi = _phi(both, won, lost, neither)
    low, high = (p_after - after_limits[0], after_limits[1] - p_after)
    low_before, high_before = (p_before - before_limits[0], before_limits[1] - p_before)
    difference = p_after - p_before
    down = np.sqrt(low**2 - 2 * phi * low * high_before + high_before**2)
    up = np.sqrt(high**2 - 2 * phi * high * low_before + low_before**2)
    return float(max(-1.0, difference - down)), float(min(1.0, difference + up))


def _phi(both: int, won: int, lost: int, neither: int) -> float:
    """Return Newcombe's phi from the four counts of a paired table of n pairs."""
    margins = (both + won) * (lost + neither) * (both + lost) * (won + neither)
    if margins == 0:
        return 0.0
    n = both + won + lost + neither
    product = both * neither - won * lost
    corrected = max(product - n / 2, 0) if product > 0 else product
    return float(corrected / np.sqrt(margins))


def mean_t(values: Sequence[float], confidence: float) -> tuple[float, float] | None:
    """Return Student's t interval of a mean; None for fewer than two values.

    For paired differences it is the paired interval.
    """
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        return None
    half = stdtrit(n - 1, 0.5 + confidence / 2) * np.std(values, ddof=1) / np.sqrt(n)
    mean = float(np.mean(values))
    return float(mean - half), float(mean + half)
