"""What an explanation of a choice says."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ScoredTeacher:
    """A teacher of the pool: the router's scores, and its true results.

    Attributes:
        reward: the true one, with quality and learnability (in its own unit); only for calibration
            prompts, and None if the response is invalid or the term unknown.
        response: as stored, or None; of several, the best by the labels, otherwise the first.
        sample_index: which of the teacher's answers it is.
        price: what costs and limits took off the router's score; None if they do not count.
        expected_tokens: of prompt and answer; likewise.
    """

    teacher: str
    score: float
    standard_error: float | None = None
    reward: float | None = None
    quality: float | None = None
    learnability: float | None = None
    response: str | None = None
    finish_reason: str | None = None
    sample_index: int | None = None
    price: float | None = None
    expected_tokens: float | None = None


@dataclass(frozen=True)
class Neighbour:
    """A prompt that the router was fitted on.

    Attributes:
        distance: Euclidean, between points standardised over the fitted prompts.
        similarity: cosine of the angle between these points.
        rewards: the true ones by teacher, in the pool's order; None if invalid.
        best: the teachers whose rewards tie for the highest.
    """

    prompt_id: str
    prompt: str
    distance: float
    similarity: float
    rewards: dict[str, float | None]
    best: list[str]


@dataclass(frozen=True)
class Explanation:
    """The router's decision on a prompt.

    Attributes:
        split, part: None for a prompt that is not in a table.
        routed: whether the scores are from the assignments; otherwise the router computed them now.
        router: kind, backbone, invalid, neighbours (the kNN router's own number) and n_fit.
        teachers: the highest score first; ties in the pool's order.
        neighbours: the nearest first.
    """

    prompt_id: str
    prompt: str
    reference: str | None
    split: str | None
    part: str | None
    routed: bool
    router: dict[str, Any]
    teachers: list[ScoredTeacher]
    neighbours: list[Neighbour]

    @property
    def choice(self) -> str:
        """The chosen teacher."""
        return self.teachers[0].teacher

    @property
    def margin(self) -> float:
        """The choice's score minus the runner-up's, in float32 as in ``ASSIGNMENTS``."""
        first, second = self.teachers[:2]
        return float(np.float32(first.score) - np.float32(second.score))

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON-able values."""
        chosen = {"choice": self.choice, "runner_up": self.teachers[1].teacher}
        return {**asdict(self), **chosen, "margin": self.margin}
