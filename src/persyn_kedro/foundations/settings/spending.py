"""Typed settings of prices and budgets."""

from dataclasses import dataclass

from pydantic import Field

from persyn_kedro.foundations.settings.base import Group


class Budget(Group):
    """Limits on the spending of one run. Tokens are prompt and completion tokens."""

    max_cost: float | None = Field(None, ge=0, le=1e12, description="in the currency of the prices")
    max_tokens: int | None = Field(
        None, ge=0, le=2**63 - 1, description="prompt and completion tokens"
    )

    @property
    def limits(self) -> bool:
        """Whether it limits anything."""
        return self.max_cost is not None or self.max_tokens is not None


@dataclass(frozen=True)
class Prices:
    """Prices per million tokens; ``cached`` None: cached prompt tokens cost as the others do."""

    completion: float = 0.0
    prompt: float = 0.0
    cached: float | None = None

    def times(self, factor: float) -> "Prices":
        """Return these prices, each multiplied."""
        cached = None if self.cached is None else factor * self.cached
        return Prices(factor * self.completion, factor * self.prompt, cached)

    def cost(self, prompt_tokens: float, completion_tokens: float, cached: float = 0) -> float:
        """Return the cost of these tokens; ``cached`` are part of the prompt's."""
        discount = 0.0 if self.cached is None else cached * (self.prompt - self.cached)
        full = prompt_tokens * self.prompt + completion_tokens * self.completion
        return (full - discount) / 1e6
