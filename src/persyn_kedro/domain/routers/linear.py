"""A router of one ridge regression a teacher on frozen prompt embeddings."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from persyn_kedro.domain.rewards import comparable
from persyn_kedro.domain.routers import embeddings, persistence
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.parameters import TrainRouterSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.weights import ResolvedModel

ARRAYS = "linear.safetensors"


class LinearRouter:
    """Scores are predicted rewards; each teacher is fitted on the prompts where it is valid."""

    def __init__(
        self, backbone: "ResolvedModel", settings: TrainRouterSettings, seed: int = 0
    ) -> None:
        self.backbone = backbone
        self.settings = settings
        self.seed = seed
        self.n_fit = 0
        self._arrays: dict[str, np.ndarray] = {}  # mean, scale: (hidden,); coef: (K, hidden); ...

    def fit_epochs(self, prompts: Sequence[str], rewards: np.ndarray) -> Iterator[dict[str, float]]:
        """Fit in one go and yield one ``{"epoch", "loss"}``: the mean squared error.

        ``rewards`` is (n, K), NaN where invalid. A teacher that is never valid scores 0.

        Raises:
            PersynError: no prompt has two valid teachers.
        """
        from sklearn.linear_model import Ridge
        from sklearn.preprocessing import StandardScaler

        kept = np.flatnonzero(comparable(rewards))
        if not len(kept):
            raise PersynError("the router cannot be fitted: no prompt has two valid teachers.")
        chosen = [prompts[i] for i in kept]
        batch, longest = self.settings.batch_size, self.settings.max_prompt_tokens
        points = embeddings.embed(self.backbone, chosen, batch, longest).astype(np.float64)
        scaler = StandardScaler().fit(points)
        scaled, known = scaler.transform(points), np.isfinite(rewards[kept])
        coefficients = np.zeros((rewards.shape[1], points.shape[1]))
        intercepts = np.zeros(rewards.shape[1])
        for k in np.flatnonzero(known.any(axis=0)):
            rows = known[:, k]
            ridge = Ridge(alpha=self.settings.ridge).fit(scaled[rows], rewards[kept][rows, k])
            coefficients[k], intercepts[k] = ridge.coef_, ridge.intercept_
        self._arrays = {
            "mean": np.asarray(scaler.mean_),
            "scale": np.asarray(scaler.scale_),
            "coefficients": coefficients,
            "intercepts": intercepts,
        }
        self.n_fit = len(kept)
        yield {"epoch": 1, "loss": float(np.nanmean((self._scores(points) - rewards[kept]) ** 2))}

    def fit(self, prompts: Sequence[str], rewards: np.ndarray) -> "LinearRouter":
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
        empty = np.empty((0, len(self._arrays["intercepts"])), dtype=np.float32)
        return np.concatenate([empty, *self.score_batches(prompts, self.settings.batch_size)])

    def save(self, directory: Path) -> None:
        """Save the arrays and ``router.json``, which names the backbone."""
        from safetensors.numpy import save_file

        save_file(self._arrays, Path(directory) / ARRAYS)
        persistence.write_description(
            directory,
            persistence.describe("linear", self.backbone, self.settings, self.seed, self.n_fit),
        )

    @classmethod
    def load(cls, directory: Path) -> "LinearRouter":
        """Load what ``save`` wrote; the backbone is found again through its settings."""
        from safetensors.numpy import load_file

        saved = persistence.read_description(directory)
        settings = TrainRouterSettings(**saved["settings"])
        router = cls(persistence.resolve_backbone(saved), settings, saved["seed"])
        router._arrays = load_file(Path(directory) / ARRAYS)
        router.n_fit = saved["n_fit"]
        return router

    def _scores(self, points: np.ndarray) -> np.ndarray:
        arrays = self._arrays
        scaled = (points.astype(np.float64) - arrays["mean"]) / arrays["scale"]
        return (scaled @ arrays["coefficients"].T + arrays["intercepts"]).astype(np.float32)
