"""What an adaptive design asks, and how it learns what the answers are worth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.teachers.recipe import Recipe

Ask = Callable[[np.ndarray], tuple[pa.Table, pa.Table]]


@dataclass(frozen=True)
class Calibration:
    """What an adaptive design asks, and how it learns what the answers are worth.

    Attributes:
        prompt_ids: n of them, in the order of the answers wanted.
        points: (n, d) their embeddings.
        open: (n,) bool, those whose further answers serve: not those held out, on which the router
            is measured, and whose teachers are therefore all asked at random.
        recipes: the pool, in the settings' order.
        routed: prompts that the router will serve.
        ask: (n, K) bool to ``schemas.RESPONSES`` and ``CALLS``.
        rewards: the responses so far to ``schemas.REWARDS``.
    """

    prompt_ids: Sequence[str]
    points: np.ndarray
    open: np.ndarray
    recipes: Sequence[Recipe]
    routed: int
    ask: Ask
    rewards: Callable[[pa.Table], pa.Table]

    @property
    def teachers(self) -> list[str]:
        """The pool's names."""
        return [recipe.teacher for recipe in self.recipes]
