"""A router that is the candidate which cross-validation finds best, or the constant."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from persyn_kedro.domain.rewards.reward import tell_apart
from persyn_kedro.domain.routers.composite import CompositeRouter
from persyn_kedro.domain.routers.ensemble import EnsembleRouter
from persyn_kedro.domain.routers.kinds import plain_class
from persyn_kedro.domain.routers.metrics import mean_regret
from persyn_kedro.domain.routers.saving import SELECTION, selection_of
from persyn_kedro.domain.routers.scored import Scored
from persyn_kedro.domain.routers.selection import CONSTANT, select
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.routers import AutoRouterSettings

log = logging.getLogger(__name__)


class AutoRouter(CompositeRouter):
    """The scores are those of the chosen candidate, fitted on all prompts.

    Attributes:
        selection_: what ``selection.select`` returned; ``because`` is ``insisted`` where the
            settings name the candidate.
    """

    settings: AutoRouterSettings
    selection_: dict[str, Any]

    @classmethod
    def class_of(cls, kind: str) -> Any:
        """Return the class of a candidate's kind."""
        return EnsembleRouter if kind == "ensemble" else plain_class(kind)

    def fit_members(self, prompts: Sequence[Prompt], rewards: np.ndarray) -> float:
        """Compare the candidates and fit the chosen one; return its regret on all prompts."""
        named, insist = self.settings.named, self.settings.insist
        folds = self.settings.selection_folds
        fair = self.fair(rewards)
        found = select(prompts, rewards, list(named), self._scores, folds, self.seed, fair)
        if insist is not None:
            found |= {"chosen": insist, "because": "insisted"}
        self.selection_ = found
        log.info("Chose the %s router of %s", found["chosen"], ", ".join(named))
        chosen = self.make(named[found["chosen"]])
        chosen.at_random = self.at_random
        self.members_ = [chosen.fit(prompts, rewards)]
        return mean_regret(self.members_[0].predict_scores(prompts), rewards)

    def combine(self, parts: list[Scored]) -> Scored:
        """Return the one member's scores."""
        return parts[0]

    def write_fitted(self, directory: Path) -> None:
        super().write_fitted(directory)
        text = json.dumps(self.selection_, indent=2)
        (directory / SELECTION).write_text(text, encoding="utf-8")

    def read_fitted(self, directory: Path) -> None:
        super().read_fitted(directory)
        self.selection_ = selection_of(directory) or {}

    def _scores(
        self,
        name: str,
        fitted: list[Prompt],
        rewards: np.ndarray,
        scored: list[Prompt],
        at_random: np.ndarray | None,
    ) -> np.ndarray:
        """Return the scores by a candidate; where nothing can be learnt, the constant's."""
        settings = self.settings.named
        made = self.make(settings[name if tell_apart(rewards) else CONSTANT])
        made.at_random = at_random  # also for the members of an ensemble
        return made.fit(fitted, rewards).predict_scores(scored)
