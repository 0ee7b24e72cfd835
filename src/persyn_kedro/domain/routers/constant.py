"""The constant router: the same teacher for every prompt."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from persyn_kedro.domain.rewards.reward import NOT_ASKED
from persyn_kedro.domain.routers.base import TeacherRouter
from persyn_kedro.domain.routers.means import Overall
from persyn_kedro.domain.routers.metrics import measurable
from persyn_kedro.domain.routers.scored import Scored
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.routers import ConstantRouterSettings

ARRAYS = "constant.safetensors"


class ConstantRouter(TeacherRouter):
    """Scores are mean rewards over all prompts; an invalid answer counts as 0 (METHOD.md, 2).

    Of an incomplete design what was asked at random counts, as in the metrics' constant.
    """

    settings: ConstantRouterSettings
    means_: np.ndarray  # (K,) float64
    errors_: np.ndarray  # (K,) float64
    _true: np.ndarray  # (n, K) of all prompts, while it is fitted

    def fit_epochs(
        self, prompts: Sequence[Prompt], rewards: np.ndarray
    ) -> Iterator[dict[str, float]]:
        """As ``fit``."""
        self._true = self.fair(rewards)
        yield from super().fit_epochs(prompts, rewards)
        del self._true

    def fit_valid(self, prompts: list[Prompt], rewards: np.ndarray) -> Iterator[dict[str, float]]:
        """Fit in one step; yield one ``{"epoch", "loss"}``: the mean squared error."""
        missing = self._true == NOT_ASKED
        filled = np.nan_to_num(rewards, nan=0.0)
        if missing.any():
            kept = measurable(self._true)
            filled = np.where(missing, np.nan, np.nan_to_num(self._true, nan=0.0))[kept]
        found = Overall.of(filled)
        counts = np.maximum(found.counts, 1)
        self.means_, self.errors_ = found.means, np.sqrt(found.variances / counts)
        yield {"epoch": 1, "loss": float(np.nanmean((filled - self.means_) ** 2))}

    def score_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[np.ndarray]:
        """Yield (b, K) float32 scores, in prompt order."""
        for found in self.scored_batches(prompts, batch_size):
            yield found.scores

    def scored_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[Scored]:
        """Yield scores and standard errors, in prompt order."""
        row = [values.astype(np.float32) for values in (self.means_, self.errors_)]
        for start in range(0, len(prompts), batch_size):
            rows = min(batch_size, len(prompts) - start)
            yield Scored(*(np.tile(values, (rows, 1)) for values in row))

    def write_fitted(self, directory: Path) -> None:
        from safetensors.numpy import save_file

        save_file({"means": self.means_, "errors": self.errors_}, directory / ARRAYS)

    def read_fitted(self, directory: Path) -> None:
        from safetensors.numpy import load_file

        arrays = load_file(directory / ARRAYS)
        self.means_, self.errors_ = arrays["means"], arrays["errors"]
        self.n_teachers_ = len(self.means_)
