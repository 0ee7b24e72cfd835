"""Mean rewards of a few prompts, shrunk towards each teacher's mean, with standard errors."""

from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Overall:
    """Each teacher's rewards over all fitted prompts.

    Attributes:
        means, variances: (K,) float64; a teacher that is never valid has mean 0, and one that is
            valid at most once the variance 0.
        counts: (K,) of valid rewards.
    """

    means: np.ndarray
    variances: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, rewards: np.ndarray) -> Self:
        """Return those of (n, K) rewards, NaN if invalid."""
        known = np.isfinite(rewards)
        counts = known.sum(axis=0)
        means = np.where(known, rewards, 0.0).sum(axis=0) / np.maximum(counts, 1)
        squares = np.where(known, (rewards - means) ** 2, 0.0).sum(axis=0)
        return cls(means, squares / np.maximum(counts - 1, 1), counts)

    def shrunk(self, means: np.ndarray, counts: np.ndarray, shrinkage: float) -> np.ndarray:
        """Return (n means + shrinkage * overall) / (n + shrinkage); 0 where both are 0.

        Args:
            means: (b, K) of the few prompts' valid rewards.
            counts: (b, K), how many these are.
        """
        if not shrinkage:
            return means
        return (counts * means + shrinkage * self.means) / (counts + shrinkage)

    def errors(self, squares: np.ndarray, counts: np.ndarray, shrinkage: float) -> np.ndarray:
        """Return the standard errors of ``shrunk`` (METHOD.md, section 3).

        The few prompts' variance counts one prompt with the teacher's overall variance, so that
        few equal rewards are not taken for certainty.

        Args:
            squares: (b, K) sums of squared deviations from ``means``.
        """
        some = np.maximum(counts, 1)
        found = np.sqrt((squares + self.variances) / some / some)
        return found * some / (some + shrinkage) if shrinkage else found
