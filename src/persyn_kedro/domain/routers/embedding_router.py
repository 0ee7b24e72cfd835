"""The base of routers on frozen embeddings: points in, scores and standard errors out."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.routers.base import TeacherRouter
from persyn_kedro.domain.routers.scored import Scored
from persyn_kedro.domain.routers.threads import on_one_thread
from persyn_kedro.foundations.prompts.conversation import Prompt


class EmbeddingRouter(TeacherRouter):
    """A router whose fitted state is arrays; scores are functions of a prompt's embedding."""

    arrays: str  # the file's name
    arrays_: dict[str, np.ndarray]

    def fit_valid(self, prompts: list[Prompt], rewards: np.ndarray) -> Iterator[dict[str, float]]:
        """Fit in one step; yield one ``{"epoch", "loss"}``: the loss on the fitted prompts."""
        points = self.points(prompts)
        with on_one_thread():
            loss = self.fit_points(points, rewards)
        yield {"epoch": 1, "loss": loss}

    def score_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[np.ndarray]:
        """Yield (b, K) float32 scores, in prompt order."""
        for points in self._embedded(prompts, batch_size):
            with on_one_thread():
                scores = self.scores(points).astype(np.float32)
            yield scores

    def scored_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[Scored]:
        """Yield scores and standard errors, in prompt order."""
        for points in self._embedded(prompts, batch_size):
            with on_one_thread():
                errors = self.errors(points)
                scores = self.scores(points).astype(np.float32)
            yield Scored(scores, None if errors is None else errors.astype(np.float32))

    def _embedded(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[np.ndarray]:
        longest = self.settings.max_prompt_tokens
        return embeddings.embed_batches(self.backbone, prompts, batch_size, longest, self.embedding)

    def write_fitted(self, directory: Path) -> None:
        from safetensors.numpy import save_file

        arrays = {name: np.ascontiguousarray(a) for name, a in self.saved_arrays().items()}
        save_file(arrays, directory / self.arrays)

    def read_fitted(self, directory: Path) -> None:
        from safetensors.numpy import load_file

        self.set_arrays(load_file(directory / self.arrays))

    @abstractmethod
    def fit_points(self, points: np.ndarray, rewards: np.ndarray) -> float:
        """Fit on (n, d) float32 points and (n, K) rewards, NaN if invalid; return the loss."""

    @abstractmethod
    def scores(self, points: np.ndarray) -> np.ndarray:
        """Return (b, K) scores of (b, d) points."""

    @abstractmethod
    def errors(self, points: np.ndarray) -> np.ndarray | None:
        """Return the (b, K) standard errors of ``scores``; None if it was saved without."""

    @abstractmethod
    def saved_arrays(self) -> dict[str, np.ndarray]:
        """Return the fitted state."""

    @abstractmethod
    def set_arrays(self, arrays: dict[str, Any]) -> None:
        """Set the fitted state, and ``n_teachers_``, from ``saved_arrays``."""
