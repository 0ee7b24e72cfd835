"""A router that averages the rewards of the nearest calibration prompts."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from persyn_kedro.domain.routers.embedding_router import EmbeddingRouter
from persyn_kedro.domain.routers.means import Overall
from persyn_kedro.domain.routers.space import Space
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.routers import KnnRouterSettings


class KnnRouter(EmbeddingRouter):
    """Scores are mean rewards over the neighbours for which the teacher is valid (0 if none).

    A neighbour that the teacher was not asked counts with the teacher's mean (of what was asked at
    random), which shrinks the score towards it: few answers say little.
    """

    fills_missing = True
    arrays = "knn.safetensors"
    settings: KnnRouterSettings
    embeddings_: np.ndarray  # (n, hidden) float32
    rewards_: np.ndarray  # (n, K) float64
    space_: Space
    overall_: Overall
    fair_: bool  # overall_ is not that of rewards_, which were asked by merit too
    search_: Any

    def fit_points(self, points: np.ndarray, rewards: np.ndarray) -> float:
        """Keep the points and rewards; return the mean squared error on them."""
        from sklearn.neighbors import NearestNeighbors

        self.embeddings_ = np.ascontiguousarray(points)
        self.rewards_ = np.ascontiguousarray(rewards)
        self.space_ = Space.fit(points, self.embedding)
        self.overall_ = Overall.of(rewards if self.fair_rewards is None else self.fair_rewards)
        self.fair_ = self.fair_rewards is not None
        self.search_ = NearestNeighbors(n_neighbors=min(self.settings.neighbours, len(points)))
        self.search_.fit(self.space_.of(points))
        return float(np.nanmean((self.scores(points) - rewards) ** 2))

    def scores(self, points: np.ndarray) -> np.ndarray:
        """Return (b, K) means of the neighbours' rewards, shrunk if the settings say so."""
        means, _, counts = self._neighbours(points)
        return self.overall_.shrunk(means, counts, self._shrinkage)

    def errors(self, points: np.ndarray) -> np.ndarray:
        """Return (b, K) standard errors by the spread of the neighbours' rewards."""
        _, squares, counts = self._neighbours(points)
        return self.overall_.errors(squares, counts, self._shrinkage)

    def fitted_points(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """Return the stored embeddings."""
        return self.embeddings_

    def saved_arrays(self) -> dict[str, np.ndarray]:
        """Return the points and rewards."""
        found = {"embeddings": self.embeddings_, "rewards": self.rewards_}
        return {**found, **(vars(self.overall_) if self.fair_ else {})}

    def set_arrays(self, arrays: dict[str, Any]) -> None:
        """Fit again."""
        self.fit_points(arrays["embeddings"], arrays["rewards"])
        if "means" in arrays:
            self.overall_ = Overall(arrays["means"], arrays["variances"], arrays["counts"])
            self.fair_ = True
        self.n_teachers_ = arrays["rewards"].shape[1]

    @property
    def _shrinkage(self) -> float:
        return self.settings.shrinkage or 0.0

    def _neighbours(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (b, K) of the valid neighbours: weighted mean, squared deviations, number.

        With unequal weights the number is Kish's effective one, (Σ w)² / Σ w².
        """
        distances, near = self.search_.kneighbors(self.space_.of(points))
        known = np.isfinite(self.rewards_)
        values = np.where(known, self.rewards_, 0.0)[near]  # (b, k, K)
        weights = known[near] * self._weights(distances)[..., None]
        share, total = weights.mean(axis=1), (values * weights).mean(axis=1)
        means = np.divide(total, share, out=np.zeros_like(total), where=share > 0)
        squared = (weights**2).mean(axis=1)
        counts = len(weights[0]) * np.divide(
            share**2, squared, out=np.zeros_like(share), where=squared > 0
        )
        deviations = (weights * (values - means[:, None]) ** 2).mean(axis=1)
        spread = np.divide(deviations, share, out=np.zeros_like(share), where=share > 0)
        return means, counts * spread, counts

    def _weights(self, distances: np.ndarray) -> np.ndarray:
        """Return the neighbours' (b, k) weights; a prompt at no distance outweighs all others."""
        if self.settings.weights == "uniform":
            return np.ones_like(distances)
        same = distances == 0
        inverse = 1 / np.where(same, 1.0, distances)
        return np.where(same.any(axis=1, keepdims=True), same, inverse)
