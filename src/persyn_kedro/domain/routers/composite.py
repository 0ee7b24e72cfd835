"""The base of routers that are made of others."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.routers.base import TeacherRouter
from persyn_kedro.domain.routers.losses import rows_to_fit
from persyn_kedro.domain.routers.saving import check_own_code, reader_of
from persyn_kedro.domain.routers.scored import Scored
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.router_keys import EmbeddingSettings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings


class CompositeRouter(TeacherRouter):
    """A router whose parts are fitted on the prompts and true rewards that it gets.

    Its backbone are the parts' models by name, or one for all.
    """

    backbone: Any
    members_: list[TeacherRouter]

    @classmethod
    @abstractmethod
    def class_of(cls, kind: str) -> Any:
        """Return the class of a part's kind."""

    def make(self, settings: TrainRouterSettings) -> TeacherRouter:
        """Return a part, not yet fitted."""
        several = settings.parts and isinstance(self.backbone, dict)
        backbone = self.backbone if several else reader_of(self.backbone, settings)
        return self.class_of(settings.kind)(backbone, settings, self.seed)

    def fit_epochs(
        self, prompts: Sequence[Prompt], rewards: np.ndarray
    ) -> Iterator[dict[str, float]]:
        """Fit the parts, each as its own settings say; yield one ``{"epoch", "loss"}``."""
        kept = rows_to_fit(rewards, self.settings)
        if not kept.any():
            raise PersynError("The router cannot be fitted: no prompt has two valid teachers.")
        self.n_teachers_ = rewards.shape[1]
        with embeddings.remembered():
            loss = self.fit_members(prompts, rewards)
        self.n_fit_ = int(kept.sum())
        yield {"epoch": 1, "loss": loss}

    @abstractmethod
    def fit_members(self, prompts: Sequence[Prompt], rewards: np.ndarray) -> float:
        """Fit ``members_`` on the (n, K) true rewards, NaN if invalid; return the mean regret."""

    @abstractmethod
    def combine(self, parts: list[Scored]) -> Scored:
        """Return the scores from those of the members."""

    def fit_valid(self, prompts: list[Prompt], rewards: np.ndarray) -> Iterator[dict[str, float]]:
        """Fit, as ``fit_epochs``."""
        yield from self.fit_epochs(prompts, rewards)

    def score_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[np.ndarray]:
        """Yield (b, K) float32 scores, in prompt order."""
        for found in self._batches(prompts, batch_size, TeacherRouter.predict_scores):
            yield found.scores

    def scored_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[Scored]:
        """Yield scores and standard errors, in prompt order."""
        yield from self._batches(prompts, batch_size, _with_errors)

    def _batches(self, prompts: Sequence[Prompt], batch_size: int, ask: Any) -> Iterator[Scored]:
        for start in range(0, len(prompts), batch_size):
            batch = prompts[start : start + batch_size]
            with embeddings.remembered():  # members may read with the same model
                found = [ask(member, batch) for member in self.members_]
            parts = [f if isinstance(f, Scored) else Scored(f) for f in found]
            scores, errors = self.combine(parts)
            errors = None if errors is None else errors.astype(np.float32)
            yield Scored(scores.astype(np.float32), errors)

    @property
    def embedding(self) -> EmbeddingSettings:
        """That of the first member, whose points explain."""
        return self.members_[0].embedding

    def points(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """Return the first member's points."""
        return self.members_[0].points(prompts)

    def write_fitted(self, directory: Path) -> None:
        for place, member in enumerate(self.members_):
            inner = directory / f"member_{place}"
            inner.mkdir()
            member.save(inner)

    def read_fitted(self, directory: Path) -> None:
        self.members_ = [
            self.class_of(check_own_code(inner)["kind"]).load(inner)
            for inner in sorted(directory.glob("member_*"), key=lambda d: int(d.name[7:]))
        ]
        self.n_teachers_ = self.members_[0].n_teachers_

    @classmethod
    def _backbone(cls, saved: dict[str, Any], directory: Path) -> Any:
        return {}  # each member has its own


def _with_errors(member: TeacherRouter, prompts: Sequence[Prompt]) -> Scored:
    (found,) = member.scored_batches(prompts, max(1, len(prompts)))
    return found
