"""A router that averages the rewards of the nearest calibration prompts."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from persyn_kedro.domain.rewards import comparable
from persyn_kedro.domain.routers import embeddings, persistence
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.parameters import TrainRouterSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.weights import ResolvedModel

ARRAYS = "knn.safetensors"


class KnnRouter:
    """Scores are mean rewards of the neighbours where the teacher is valid (none: 0)."""

    def __init__(
        self, backbone: "ResolvedModel", settings: TrainRouterSettings, seed: int = 0
    ) -> None:
        self.backbone = backbone
        self.settings = settings
        self.seed = seed
        self.n_fit = 0
        self._points = np.empty((0, 0))
        self._rewards = np.empty((0, 0))
        self._scaler: Any = None
        self._regressor: Any = None

    def fit_epochs(self, prompts: Sequence[str], rewards: np.ndarray) -> Iterator[dict[str, float]]:
        """Fit in one go and yield one ``{"epoch", "loss"}``: the mean squared error.

        ``rewards`` is (n, K), NaN where invalid.

        Raises:
            PersynError: no prompt has two valid teachers.
        """
        kept = np.flatnonzero(comparable(rewards))
        if not len(kept):
            raise PersynError("the router cannot be fitted: no prompt has two valid teachers.")
        chosen = [prompts[i] for i in kept]
        batch, longest = self.settings.batch_size, self.settings.max_prompt_tokens
        points = embeddings.embed(self.backbone, chosen, batch, longest)
        self._fit_arrays(points, np.asarray(rewards[kept], dtype=np.float64))
        yield {"epoch": 1, "loss": float(np.nanmean((self._scores(points) - rewards[kept]) ** 2))}

    def fit(self, prompts: Sequence[str], rewards: np.ndarray) -> "KnnRouter":
        """Fit on prompts and their (n, K) rewards, NaN where invalid."""
        for _ in self.fit_epochs(prompts, rewards):
            pass
        return self

    def score_batches(self, prompts: Sequence[str], batch_size: int) -> Iterator[np.ndarray]:
        """Yield (b, K) float32 scores, in prompt order."""
        longest = self.settings.max_prompt_tokens
        for points in embeddings.embed_batches(self.backbone, prompts, batch_size, longest):
            yield self._scores(points)

    def predict_scores(self, prompts: Sequence[str]) -> np.ndarray:
        """Return the (n, K) float32 scores; the highest is the teacher to ask."""
        empty = np.empty((0, self._rewards.shape[1]), dtype=np.float32)
        return np.concatenate([empty, *self.score_batches(prompts, self.settings.batch_size)])

    def save(self, directory: Path) -> None:
        """Save embeddings, rewards and ``router.json``, which names the backbone."""
        from safetensors.numpy import save_file

        arrays = {"embeddings": self._points, "rewards": self._rewards}
        save_file(arrays, Path(directory) / ARRAYS)
        persistence.write_description(
            directory,
            persistence.describe("knn", self.backbone, self.settings, self.seed, self.n_fit),
        )

    @classmethod
    def load(cls, directory: Path) -> "KnnRouter":
        """Fit again from what ``save`` wrote; the backbone is found through its settings."""
        from safetensors.numpy import load_file

        saved = persistence.read_description(directory)
        settings = TrainRouterSettings(**saved["settings"])
        router = cls(persistence.resolve_backbone(saved), settings, saved["seed"])
        arrays = load_file(Path(directory) / ARRAYS)
        router._fit_arrays(arrays["embeddings"], arrays["rewards"])
        return router

    def _fit_arrays(self, points: np.ndarray, rewards: np.ndarray) -> None:
        from sklearn.neighbors import KNeighborsRegressor
        from sklearn.preprocessing import StandardScaler

        self._points, self._rewards = np.ascontiguousarray(points), np.ascontiguousarray(rewards)
        self.n_fit = len(points)
        self._scaler = StandardScaler().fit(points.astype(np.float64))
        known = np.isfinite(rewards)
        targets = np.concatenate([np.where(known, rewards, 0.0), known], axis=1)
        self._regressor = KNeighborsRegressor(min(self.settings.neighbours, len(points)))
        self._regressor.fit(self._scaler.transform(points.astype(np.float64)), targets)

    def _scores(self, points: np.ndarray) -> np.ndarray:
        """Divide the neighbours' mean reward by their mean validity: the mean of the valid."""
        means = self._regressor.predict(self._scaler.transform(points.astype(np.float64)))
        total, share = np.split(means, 2, axis=1)
        scores = np.divide(total, share, out=np.zeros_like(total), where=share > 0)
        return scores.astype(np.float32)
