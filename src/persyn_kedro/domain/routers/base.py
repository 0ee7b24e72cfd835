"""The base of all routers: scikit-learn estimators from prompts to one score per teacher."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from persyn_kedro.domain.rewards.levelling import teacher_means
from persyn_kedro.domain.rewards.reward import NOT_ASKED
from persyn_kedro.domain.routers import embeddings, saving
from persyn_kedro.domain.routers.losses import as_fitted, rows_to_fit
from persyn_kedro.domain.routers.metrics import mean_regret
from persyn_kedro.domain.routers.scored import Scored
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.router_keys import EmbeddingSettings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings

if TYPE_CHECKING:
    from typing import Self

    from persyn_kedro.foundations.models.resolve import ResolvedModel


class TeacherRouter(BaseEstimator):
    """A scikit-learn estimator: clone it, search over ``settings``, cross-validate its ``score``.

    A router consists of the four methods at the end: it is fitted, scores, is saved and loaded.

    Attributes:
        n_fit_: number of prompts with two or more valid teachers, on which it was fitted.
        n_teachers_: K, the columns of the rewards.
        at_random: (n, K) bool, which answers an adaptive design asked at random; None: all. To be
            set before ``fit``, as its choice bias shows in means over the others.
        fair_rewards: while it is fitted, the (n_fit_, K) rewards of what was asked at random, NaN
            elsewhere; None: those it is given. Answers chosen for their merit raise a teacher's
            mean, so levels (means, intercepts) are to be those of ``fair_rewards``.
        workspace: where a fit may keep checkpoints; a long fit resumes from them.
        version: of the algorithm: another one's checkpoints are not resumed from.
    """

    invalid_reward: ClassVar[float] = 0.0  # as in the metrics (METHOD.md, 1)
    fills_missing: ClassVar[bool] = False  # by the teacher's mean, where it was not asked
    at_random: np.ndarray | None = None
    workspace: Path | None = None
    version: int = 1
    fair_rewards: np.ndarray | None = None
    n_fit_: int
    n_teachers_: int

    def __init__(
        self, backbone: "ResolvedModel", settings: TrainRouterSettings, seed: int = 0
    ) -> None:
        self.backbone = backbone
        self.settings = settings
        self.seed = seed

    def fit(self, prompts: Sequence[Prompt], rewards: np.ndarray) -> "Self":
        """Fit on prompts and their (n, K) rewards, NaN if invalid, ``NOT_ASKED`` if not asked.

        If ``settings.invalid`` is ``lose``, an invalid response counts as ``invalid_reward``.

        Raises:
            PersynError: no prompt has two valid teachers.
        """
        for _ in self.fit_epochs(prompts, rewards):
            pass
        return self

    def fit_epochs(
        self, prompts: Sequence[Prompt], rewards: np.ndarray
    ) -> Iterator[dict[str, float]]:
        """As ``fit``, yielding ``{"epoch", "loss"}`` after each epoch."""
        kept = np.flatnonzero(rows_to_fit(rewards, self.settings))
        if not len(kept):
            raise PersynError("The router cannot be fitted: no prompt has two valid teachers.")
        self.n_teachers_ = rewards.shape[1]
        asked, fair = rewards != NOT_ASKED, self.fair(rewards)
        rewards, fair = (
            as_fitted(each, self.settings, self.invalid_reward) for each in (rewards, fair)
        )
        if self.fills_missing and not asked.all():
            rewards = np.where(asked, rewards, teacher_means(fair))
        self.fair_rewards = None if self.at_random is None else fair[kept]
        yield from self.fit_valid(
            [prompts[i] for i in kept.tolist()], np.asarray(rewards[kept], dtype=np.float64)
        )
        self.n_fit_, self.fair_rewards = len(kept), None

    def fair(self, rewards: np.ndarray) -> np.ndarray:
        """Return the (n, K) rewards of what was asked at random; the others are ``NOT_ASKED``."""
        return rewards if self.at_random is None else np.where(self.at_random, rewards, NOT_ASKED)

    def predict_scores(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """Return the (n, K) float32 scores; the highest is the teacher to choose."""
        check_is_fitted(self, "n_fit_")
        empty = np.empty((0, self.n_teachers_), dtype=np.float32)
        return np.concatenate([empty, *self.score_batches(prompts, self.settings.batch_size)])

    def predict_errors(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """Return the scores' (n, K) float32 standard errors; NaN if the router has none."""
        check_is_fitted(self, "n_fit_")
        found = [np.empty((0, self.n_teachers_), dtype=np.float32)]
        for scores, errors in self.scored_batches(prompts, self.settings.batch_size):
            found.append(np.full_like(scores, np.nan) if errors is None else errors)
        return np.concatenate(found)

    def predict(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """Return the (n,) index of the teacher to choose; ties go to the first."""
        return self.predict_scores(prompts).argmax(axis=1)

    def score(self, prompts: Sequence[Prompt], rewards: np.ndarray) -> float:
        """Return the negative mean regret on these prompts (NaN if none has two valid teachers)."""
        return -mean_regret(self.predict_scores(prompts), rewards)

    def save(self, directory: Path) -> None:
        """Save arrays or weights and ``router.json``."""
        check_is_fitted(self, "n_fit_")
        self.write_fitted(Path(directory))
        saving.write_description(
            directory,
            saving.describe(
                saving.reader_of(self.backbone, self.settings),
                self.settings,
                self.seed,
                self.n_fit_,
            ),
        )

    @classmethod
    def load(cls, directory: Path) -> Any:
        """Load what ``save`` wrote."""
        saved = saving.read_description(directory)
        backbone = cls._backbone(saved, Path(directory))
        router = cls(backbone, saving.settings_in(saved), saved["seed"])
        router.read_fitted(Path(directory))
        router.n_fit_ = saved["n_fit"]
        return router

    @classmethod
    def _backbone(cls, saved: dict[str, Any], directory: Path) -> "ResolvedModel":
        """Return a saved router's backbone, resolved from its settings."""
        return saving.resolve_backbone(saved)

    @abstractmethod
    def score_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[np.ndarray]:
        """Yield (b, K) float32 scores, in prompt order."""

    def scored_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[Scored]:
        """Yield scores with their standard errors, in prompt order; here, without any."""
        for scores in self.score_batches(prompts, batch_size):
            yield Scored(scores)

    @property
    def embedding(self) -> EmbeddingSettings:
        """How prompts become points, here and in explanations."""
        return getattr(self.settings, "embedding", EmbeddingSettings())

    def points(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """Return the (n, d) float32 points that represent prompts in explanations.

        Here, the backbone's embeddings.
        """
        batch, longest = self.settings.batch_size, self.settings.max_prompt_tokens
        return embeddings.embed(self.backbone, prompts, batch, longest, self.embedding)

    def fitted_points(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """Return the (n, d) points of the prompts that it was fitted on, in order."""
        return self.points(prompts)

    @abstractmethod
    def fit_valid(self, prompts: list[Prompt], rewards: np.ndarray) -> Iterator[dict[str, float]]:
        """Fit on prompts that all have two or more valid teachers.

        Yields ``{"epoch", "loss"}`` after each epoch; at least one.
        """

    @abstractmethod
    def write_fitted(self, directory: Path) -> None:
        """Write what ``read_fitted`` needs; backbone, settings and seed are already written."""

    @abstractmethod
    def read_fitted(self, directory: Path) -> None:
        """Set the fitted state, and ``n_teachers_``, from what ``write_fitted`` wrote."""
