"""Scores with their standard errors."""

from typing import NamedTuple

import numpy as np


class Scored(NamedTuple):
    """Scores of b prompts.

    Attributes:
        scores: (b, K) float32.
        errors: their standard errors, (b, K) float32, 0 or more; None if the router has none.
    """

    scores: np.ndarray
    errors: np.ndarray | None = None
