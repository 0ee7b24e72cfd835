"""A router for docs/results.md: always the teacher with the best mean reward, then the second-best.

Unlike the strategy ``best_constant``, which takes all calibration prompts, it is fitted on those
that routers are fitted on, without the holdout.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from persyn_kedro.domain.routers.base import TeacherRouter


class ConstantRouter(TeacherRouter):
    """Scores are mean rewards, 0 for an invalid answer."""

    def fit_valid(self, prompts: list[str], rewards: np.ndarray) -> Iterator[dict[str, float]]:
        """Fit on (n, K) rewards, NaN if a teacher's answer is invalid."""
        self.means_ = np.nan_to_num(rewards).mean(axis=0)
        yield {"epoch": 1, "loss": 0.0}

    def score_batches(self, prompts: Sequence[str], batch_size: int) -> Iterator[np.ndarray]:
        """Yield (b, K) float32 scores, in prompt order."""
        for start in range(0, len(prompts), batch_size):
            count = len(prompts[start : start + batch_size])
            yield np.tile(self.means_, (count, 1)).astype(np.float32)

    def write_fitted(self, directory: Path) -> None:
        np.save(directory / "means.npy", self.means_)

    def read_fitted(self, directory: Path) -> None:
        self.means_ = np.load(directory / "means.npy")
        self.n_teachers_ = len(self.means_)
