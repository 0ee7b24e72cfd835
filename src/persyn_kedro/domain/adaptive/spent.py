"""What the answers so far took, and how many more the budget has room for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.settings.spending import Budget


@dataclass(frozen=True)
class Spent:
    """Tokens and cost so far; ``each`` and ``prices``: (K,) means of a call for a prompt."""

    tokens: float
    cost: float
    each: np.ndarray
    prices: np.ndarray

    def room(self, budget: Budget, teachers: np.ndarray) -> np.ndarray:
        """Return (b,) bool: which of the calls, (b,) teachers in order, the budget has room for."""
        room = np.ones(len(teachers), bool)
        if budget.max_tokens is not None:
            room &= self.tokens + np.cumsum(self.each[teachers]) <= budget.max_tokens
        if budget.max_cost is not None:
            room &= self.cost + np.cumsum(self.prices[teachers]) <= budget.max_cost
        return room


def spent_on(responses: pa.Table, recipes: Sequence[Recipe]) -> Spent:
    """Add up what all answers so far took, whenever they were paid for."""
    tokens, costs, counts = (np.zeros(len(recipes)) for _ in range(3))
    columns = [
        "teacher",
        "prompt_tokens",
        "completion_tokens",
        "cached_prompt_tokens",
        "sample_index",
    ]
    places = {name: k for k, name in enumerate(recipe.teacher for recipe in recipes)}
    for row in responses.select(columns).to_pylist():
        k = places[row["teacher"]]
        prompt, completion = row["prompt_tokens"], row["completion_tokens"]
        tokens[k] += prompt + completion
        cached = row["cached_prompt_tokens"] or 0
        costs[k] += recipes[k].cost(prompt, completion, cached)
        counts[k] += not row["sample_index"]  # all samples of a prompt are asked together
    each = np.maximum(counts, 1)
    return Spent(tokens.sum(), costs.sum(), np.maximum(tokens / each, 1.0), costs / each)
