"""A router whose scores are the means of others' standardised scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from persyn_kedro.domain.routers.composite import CompositeRouter
from persyn_kedro.domain.routers.kinds import plain_class
from persyn_kedro.domain.routers.metrics import mean_regret
from persyn_kedro.domain.routers.scored import Scored
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.routers import EnsembleRouterSettings

ARRAYS = "ensemble.safetensors"


class EnsembleRouter(CompositeRouter):
    """Each member's scores are centred within a prompt, and divided by their deviation.

    The deviation is over the fitted prompts and teachers (METHOD.md, section 2, *Ensemble*).
    """

    settings: EnsembleRouterSettings
    scales_: np.ndarray  # (members,) float64

    @classmethod
    def class_of(cls, kind: str) -> Any:
        """Return the class of a member's kind."""
        return plain_class(kind)

    def fit_members(self, prompts: Sequence[Prompt], rewards: np.ndarray) -> float:
        """Fit all members; return the mean regret on the fitted prompts."""
        self.members_ = [self.make(part) for part in self.settings.parts]
        for member in self.members_:
            member.at_random = self.at_random
            member.fit(prompts, rewards)
        scores = [member.predict_scores(prompts).astype(np.float64) for member in self.members_]
        deviations = np.array([np.std(_centred(s)) for s in scores])
        self.scales_ = np.where(deviations > 0, deviations, 1.0)
        return mean_regret(self.combine([Scored(s) for s in scores]).scores, rewards)

    def combine(self, parts: list[Scored]) -> Scored:
        """Return the mean of the members' standardised scores.

        Its variance is the mean of the members' own plus the variance between them
        (Lakshminarayanan et al., 2017).
        """
        scores = np.stack(
            [_centred(p.scores) / scale for p, scale in zip(parts, self.scales_, strict=True)]
        )
        own = [
            np.zeros_like(s) if p.errors is None else p.errors / scale
            for p, s, scale in zip(parts, scores, self.scales_, strict=True)
        ]
        variance = np.mean(np.square(own), axis=0) + scores.var(axis=0)
        return Scored(scores.mean(axis=0), np.sqrt(variance))

    def write_fitted(self, directory: Path) -> None:
        from safetensors.numpy import save_file

        super().write_fitted(directory)
        save_file({"scales": self.scales_}, directory / ARRAYS)

    def read_fitted(self, directory: Path) -> None:
        from safetensors.numpy import load_file

        super().read_fitted(directory)
        self.scales_ = load_file(directory / ARRAYS)["scales"]


def _centred(scores: np.ndarray) -> np.ndarray:
    found = scores.astype(np.float64)
    return found - found.mean(axis=1, keepdims=True)
