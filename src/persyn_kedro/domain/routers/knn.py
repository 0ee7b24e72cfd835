"""A router that averages the rewards of the nearest calibration prompts."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.routers.base import TeacherRouter
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.routers import KnnRouterSettings

ARRAYS = "knn.safetensors"


class KnnRouter(TeacherRouter):
    """Scores are mean rewards over the neighbours for which the teacher is valid (0 if none).

    A neighbour that the teacher was not asked counts with the teacher's mean, which shrinks the
    score towards it: few answers say little.
    """

    fills_missing = True
    settings: KnnRouterSettings
    embeddings_: np.ndarray  # (n, hidden) float32
    rewards_: np.ndarray  # (n, K) float64
    scaler_: Any
    regressor_: Any

    def fit_valid(self, prompts: list[Prompt], rewards: np.ndarray) -> Iterator[dict[str, float]]:
        """Fit in one step; yield one ``{"epoch", "loss"}``: the mean squared error."""
        points = self.points(prompts)
        self._fit_arrays(points, rewards)
        yield {"epoch": 1, "loss": float(np.nanmean((self._scores(points) - rewards) ** 2))}

    def score_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[np.ndarray]:
        """Yield (b, K) float32 scores, in prompt order."""
        longest = self.settings.max_prompt_tokens
        for points in embeddings.embed_batches(self.backbone, prompts, batch_size, longest):
            yield self._scores(points)

    def fitted_points(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """Return the stored embeddings."""
        return self.embeddings_

    def write_fitted(self, directory: Path) -> None:
        from safetensors.numpy import save_file

        arrays = {"embeddings": self.embeddings_, "rewards": self.rewards_}
        save_file(arrays, directory / ARRAYS)

    def read_fitted(self, directory: Path) -> None:
        """Fit again from what ``write_fitted`` wrote."""
        from safetensors.numpy import load_file

        arrays = load_file(directory / ARRAYS)
        self._fit_arrays(arrays["embeddings"], arrays["rewards"])
        self.n_teachers_ = arrays["rewards"].shape[1]

    def _fit_arrays(self, points: np.ndarray, rewards: np.ndarray) -> None:
        from sklearn.neighbors import KNeighborsRegressor
        from sklearn.preprocessing import StandardScaler

        self.embeddings_ = np.ascontiguousarray(points)
        self.rewards_ = np.ascontiguousarray(rewards)
        self.scaler_ = StandardScaler().fit(points.astype(np.float64))
        known = np.isfinite(rewards)
        targets = np.concatenate([np.where(known, rewards, 0.0), known], axis=1)
        self.regressor_ = KNeighborsRegressor(min(self.settings.neighbours, len(points)))
        self.regressor_.fit(self.scaler_.transform(points.astype(np.float64)), targets)

    def _scores(self, points: np.ndarray) -> np.ndarray:
        """Divide the neighbours' mean reward by their mean validity: the mean over valid ones."""
        means = self.regressor_.predict(self.scaler_.transform(points.astype(np.float64)))
        total, share = np.split(means, 2, axis=1)
        scores = np.divide(total, share, out=np.zeros_like(total), where=share > 0)
        return scores.astype(np.float32)
