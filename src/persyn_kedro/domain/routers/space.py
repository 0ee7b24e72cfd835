"""The space in which points are compared: standardised over the fitted prompts, or by angle."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from persyn_kedro.foundations.settings.router_keys import EmbeddingSettings


@dataclass(frozen=True)
class Space:
    """Points are (x - mean) / scale, and of unit length for the cosine.

    Attributes:
        mean, scale: (d,) float64 over the fitted prompts; 0 and 1 if points are not standardised.
        cosine: whether only angles count.
    """

    mean: np.ndarray
    scale: np.ndarray
    cosine: bool = False

    @classmethod
    def fit(cls, points: np.ndarray, how: EmbeddingSettings) -> Self:
        """Return the space of (n, d) points."""
        from sklearn.preprocessing import StandardScaler

        cosine, width = how.metric == "cosine", points.shape[1]
        if not how.standardise:
            return cls(np.zeros(width), np.ones(width), cosine)
        scaler = StandardScaler().fit(points.astype(np.float64))
        return cls(np.asarray(scaler.mean_), np.asarray(scaler.scale_), cosine)

    def scaled(self, points: np.ndarray) -> np.ndarray:
        """Return (n, d) points as (n, d) float64, standardised."""
        return (points.astype(np.float64) - self.mean) / self.scale

    def of(self, points: np.ndarray) -> np.ndarray:
        """Return (n, d) points as (n, d) float64, between which Euclidean distances count."""
        found = self.scaled(points)
        if not self.cosine:
            return found
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 0)
