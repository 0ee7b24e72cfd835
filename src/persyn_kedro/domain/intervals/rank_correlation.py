"""Spearman's rank correlation and its interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np

VERSION = 1  # raise it when the same inputs give another result

LEAST = 4  # pairs for an interval


def spearman(x: Sequence[float], y: Sequence[float], confidence: float) -> dict[str, Any] | None:
    """Return ``{"value", "interval", "n"}`` of paired values; None if either does not vary.

    The interval is Bonett and Wright's (Psychometrika 65, 2000): Fisher's z with a standard error
    of sqrt((1 + rho^2 / 2) / (n - 3)). It is None for fewer than ``LEAST`` pairs. A perfect
    correlation, whose z is infinite, is counted as half a step less: the next lower one is
    1 - 12 / (n^3 - n).
    """
    from scipy.stats import norm, spearmanr

    n = len(x)
    if n < 2 or len(set(x)) < 2 or len(set(y)) < 2:
        return None
    rho = float(spearmanr(x, y).statistic)
    interval = None
    if n >= LEAST:
        most = 1 - 6 / (n**3 - n)
        inner = float(np.clip(rho, -most, most))
        reach = norm.ppf(0.5 + confidence / 2) * np.sqrt((1 + inner**2 / 2) / (n - 3))
        low, high = np.tanh(np.arctanh(inner) + np.array([-reach, reach]))
        interval = [float(min(low, rho)), float(max(high, rho))]
    return {"value": rho, "interval": interval, "n": n}
