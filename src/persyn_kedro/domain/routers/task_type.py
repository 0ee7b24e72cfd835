"""A router that only knows which task a prompt belongs to."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from persyn_kedro.domain.routers.base import TeacherRouter
from persyn_kedro.domain.routers.means import Overall
from persyn_kedro.domain.routers.scored import Scored
from persyn_kedro.domain.routers.tasks import task_of
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.routers import TaskTypeRouterSettings

ARRAYS = "task_type.safetensors"
SHRINKAGE = 10.0  # prompts


class TaskTypeRouter(TeacherRouter):
    """Scores are each teacher's mean rewards on a task's prompts, shrunk to its mean on all.

    Of an adaptive design they are means of what was asked at random. A prompt without
    a task, or of one that was not fitted on, gets the means on all.
    """

    settings: TaskTypeRouterSettings
    tasks_: dict[str, int]  # the row of each task
    scores_: np.ndarray  # (tasks + 1, K) float64, the last for all others
    errors_: np.ndarray  # as scores_

    def fit_valid(self, prompts: list[Prompt], rewards: np.ndarray) -> Iterator[dict[str, float]]:
        """Fit in one step; yield one ``{"epoch", "loss"}``: the mean squared error."""
        rewards = rewards if self.fair_rewards is None else self.fair_rewards
        names = [task_of(prompt, self.settings.task_column) for prompt in prompts]
        self.tasks_ = {t: i for i, t in enumerate(sorted({t for t in names if t is not None}))}
        rows = np.array([self._row(name) for name in names])
        overall, shrinkage = Overall.of(rewards), self.settings.shrinkage
        shrinkage = SHRINKAGE if shrinkage is None else shrinkage
        found = [Overall.of(rewards[rows == i]) for i in range(len(self.tasks_))]
        means, counts = np.array([f.means for f in found]), np.array([f.counts for f in found])
        squares = np.array([f.variances * np.maximum(f.counts - 1, 0) for f in found])
        self.scores_ = np.vstack([overall.means[None]])
        self.errors_ = np.sqrt(overall.variances)[None]
        if found:
            scores = overall.shrunk(means, counts, shrinkage)
            errors = overall.errors(squares, counts, shrinkage)
            self.scores_ = np.vstack([scores, self.scores_])
            self.errors_ = np.vstack([errors, self.errors_])
        yield {"epoch": 1, "loss": float(np.nanmean((self.scores_[rows] - rewards) ** 2))}

    def score_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[np.ndarray]:
        """Yield (b, K) float32 scores, in prompt order."""
        for found in self.scored_batches(prompts, batch_size):
            yield found.scores

    def scored_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[Scored]:
        """Yield scores and standard errors, in prompt order."""
        for start in range(0, len(prompts), batch_size):
            batch = prompts[start : start + batch_size]
            rows = [self._row(task_of(prompt, self.settings.task_column)) for prompt in batch]
            yield Scored(*(a[rows].astype(np.float32) for a in (self.scores_, self.errors_)))

    def write_fitted(self, directory: Path) -> None:
        from safetensors.numpy import save_file

        tasks = {"tasks": json.dumps(self.tasks_)}
        save_file({"scores": self.scores_, "errors": self.errors_}, directory / ARRAYS, tasks)

    def read_fitted(self, directory: Path) -> None:
        from safetensors import safe_open

        with safe_open(directory / ARRAYS, framework="numpy") as file:
            self.tasks_ = json.loads(file.metadata()["tasks"])
            self.scores_, self.errors_ = file.get_tensor("scores"), file.get_tensor("errors")
        self.n_teachers_ = self.scores_.shape[1]

    def _row(self, task: str | None) -> int:
        return self.tasks_.get(task, len(self.tasks_)) if task is not None else len(self.tasks_)
