"""A router with one ridge regression per teacher on frozen prompt embeddings."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.routers.base import TeacherRouter
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.routers import LinearRouterSettings

ARRAYS = "linear.safetensors"


class LinearRouter(TeacherRouter):
    """Scores are predicted rewards; each teacher is fitted on the prompts where it is valid.

    A teacher that is never valid scores 0.
    """

    settings: LinearRouterSettings
    arrays_: dict[str, np.ndarray]  # mean, scale: (hidden,); coefficients: (K, hidden); intercepts

    def fit_valid(self, prompts: list[Prompt], rewards: np.ndarray) -> Iterator[dict[str, float]]:
        """Fit in one step; yield one ``{"epoch", "loss"}``: the mean squared error."""
        from sklearn.preprocessing import StandardScaler

        points = self.points(prompts).astype(np.float64)
        scaler = StandardScaler().fit(points)
        scaled, known = scaler.transform(points), np.isfinite(rewards)
        coefficients = np.zeros((rewards.shape[1], points.shape[1]))
        intercepts = np.zeros(rewards.shape[1])
        for k in np.flatnonzero(known.any(axis=0)):
            rows = known[:, k]
            ridge = self._regression(rows.sum()).fit(scaled[rows], rewards[rows, k])
            coefficients[k], intercepts[k] = ridge.coef_, ridge.intercept_
        self.arrays_ = {
            "mean": np.asarray(scaler.mean_),
            "scale": np.asarray(scaler.scale_),
            "coefficients": coefficients,
            "intercepts": intercepts,
        }
        yield {"epoch": 1, "loss": float(np.nanmean((self._scores(points) - rewards) ** 2))}

    def _regression(self, prompts: int) -> Any:
        """Return the regression to fit: embeddings have more columns than there are prompts."""
        from sklearn.linear_model import Ridge, RidgeCV

        if self.settings.ridge is not None or prompts < 2:  # leave-one-out needs two
            return Ridge(alpha=self.settings.ridge or 1.0)
        return RidgeCV(alphas=np.logspace(0, 5, 11))  # leave-one-out, in closed form

    def score_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[np.ndarray]:
        """Yield (b, K) float32 scores, in prompt order."""
        longest = self.settings.max_prompt_tokens
        for points in embeddings.embed_batches(self.backbone, prompts, batch_size, longest):
            yield self._scores(points)

    def write_fitted(self, directory: Path) -> None:
        from safetensors.numpy import save_file

        save_file(self.arrays_, directory / ARRAYS)

    def read_fitted(self, directory: Path) -> None:
        from safetensors.numpy import load_file

        self.arrays_ = load_file(directory / ARRAYS)
        self.n_teachers_ = len(self.arrays_["intercepts"])

    def _scores(self, points: np.ndarray) -> np.ndarray:
        arrays = self.arrays_
        scaled = (points.astype(np.float64) - arrays["mean"]) / arrays["scale"]
        return (scaled @ arrays["coefficients"].T + arrays["intercepts"]).astype(np.float32)
