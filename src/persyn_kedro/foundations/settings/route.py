"""Typed settings of the route step: what a choice maximises, and within which limits."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.base import IF_SET, NO_EFFECT, Group
from persyn_kedro.foundations.settings.focus import FocusSettings
from persyn_kedro.foundations.settings.rounds import has_rounds
from persyn_kedro.foundations.settings.spending import Budget
from persyn_kedro.foundations.settings.teachers import Teachers

CostUnit = Literal["tokens", "money"]


class ObjectiveSettings(Group):
    """Each prompt goes to the teacher with the highest expected reward - cost_weight x cost."""

    cost_weight: float = Field(
        0.0, ge=0, description="reward that one unit of cost must be worth; 0: the paper's routing"
    )
    cost: CostUnit = Field(
        "tokens", description="tokens: of prompt and answer; money: by the teachers' prices"
    )


class RouteSettings(Group):
    """How prompts are scored, which are answered, and what answers may cost (docs/guides)."""

    batch_size: Annotated[int, NO_EFFECT] = Field(16, ge=1, description="prompts per forward pass")
    focus: Annotated[FocusSettings, IF_SET] = FocusSettings()
    objective: Annotated[ObjectiveSettings, IF_SET] = ObjectiveSettings()
    budget: Annotated[Budget, IF_SET] = Budget()
    capacity: Annotated[dict[str, Annotated[float, Field(ge=0, le=1)]], IF_SET] = Field(
        {},
        description="by teacher, the largest share of the prompts that it may get: calibration, "
        "and train less those that focus leaves out",
    )

    @property
    def rules(self) -> dict[str, Any]:
        """What differs from routing by score alone, JSON-able."""
        return self.model_dump(
            mode="json", include={"objective", "budget", "capacity"}, exclude_defaults=True
        )

    @property
    def limited(self) -> bool:
        """Whether the choices of different prompts depend on one another."""
        return self.budget.limits or bool(self.capacity)

    @property
    def weighed(self) -> bool:
        """Whether costs or limits count beside the router's scores."""
        return self.limited or self.objective.cost_weight > 0


def weighs_costs(settings: Iterable[Any]) -> bool:
    """Return whether routing weighs costs or has limits, with these groups of settings."""
    return any(isinstance(group, RouteSettings) and group.weighed for group in settings)


def needs_reward_scale(settings: Iterable[Any]) -> bool:
    """Return whether scores are compared with costs, so must be on the rewards' scale."""
    return any(isinstance(g, RouteSettings) and g.objective.cost_weight > 0 for g in settings)


def asks_student(settings: Iterable[Any]) -> bool:
    """Return whether the student's own pass rate decides which train prompts are answered."""
    return any(isinstance(g, RouteSettings) and g.focus.keep != "all" for g in settings)


def limits_those_left(settings: Iterable[Any]) -> bool:
    """Return whether limits are those of the prompts that the student's pass rate leaves."""
    groups = list(settings)
    return asks_student(groups) and any(isinstance(g, RouteSettings) and g.limited for g in groups)


def leaves_out(settings: Iterable[Any]) -> bool:
    """Return whether these groups of settings may leave train prompts without an answer."""
    groups = list(settings)
    return asks_student(groups) or has_rounds(groups)


def check_route(route: RouteSettings, teachers: Teachers) -> None:
    """Refuse limits that no assignment of prompts can keep, and costs without prices.

    Raises:
        PersynError: names the setting.
    """
    for name in route.capacity:
        if name not in teachers.root:
            raise PersynError(
                f"route.capacity names {name!r}, which is not a teacher; the teachers are "
                f"{', '.join(teachers.root)}."
            )
    room = sum(route.capacity.get(name, 1.0) for name in teachers.root)
    if room < 1 - 1e-9:
        raise PersynError(
            f"route.capacity leaves room for {room:g} of the prompts; the teachers' shares must "
            "add up to 1 or more."
        )
    priced = any(t.price or t.prompt_price for t in teachers.root.values())
    in_money = route.objective.cost == "money" and route.objective.cost_weight > 0
    for key, used in (
        ("route.objective.cost is money", in_money),
        ("route.budget.max_cost is set", route.budget.max_cost is not None),
    ):
        if used and not priced:
            raise PersynError(
                f"{key}, but no teacher has a price: set teachers.<name>.price and prompt_price, "
                "or count tokens."
            )
