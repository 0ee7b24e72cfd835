"""What the teachers' calls cost as they are made, and how a step says that it reads this.

Prices are of no effect except for steps that weigh or sum costs. What those read are the fields
``PRICES`` of the teachers and, if a model is asked by a batch API, its factor.
"""

from collections.abc import Iterable
from typing import Any

from persyn_kedro.foundations.settings.marks import Asks
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.spending import Prices
from persyn_kedro.foundations.settings.teachers import Teachers

PRICES = ("price", "prompt_price", "cached_prompt_price")
PRICE_FACTOR = "models.price_factor"


def prices_of(teachers: Teachers, models: Models) -> dict[str, Prices]:
    """Return each teacher's prices: lower by a batch API."""
    return {
        name: teacher.prices.times(models.root[teacher.model].price_factor)
        for name, teacher in teachers.root.items()
    }


def has_price_factor(settings: Iterable[Any]) -> bool:
    """Return whether any model's calls do not cost the teachers' prices, but part of them."""
    return any(
        isinstance(group, Models) and any(m.price_factor != 1 for m in group.root.values())
        for group in settings
    )


def prices_if(asks: Asks, *names: str) -> dict[Asks, tuple[str, ...]]:
    """Return ``only_if`` of a step that reads prices and ``names`` where ``asks`` says yes."""

    def also_batches(settings: Iterable[Any]) -> bool:
        groups = list(settings)
        return asks(groups) and has_price_factor(groups)

    prices = (f"teachers.{name}" for name in PRICES)
    return {asks: (*names, *prices), also_batches: (PRICE_FACTOR,)}
