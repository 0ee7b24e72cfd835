"""What a node reads of its settings: all that it is handed, and what its result hangs on.

A node's function is marked with ``step``. The mark is enforced: every other setting that could
change its result reaches the function as its default, so that a forgotten one is not obeyed, which
shows, and never obeyed once and then reused in silence.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, RootModel

from persyn_kedro.foundations.settings.base import NO_EFFECT
from persyn_kedro.foundations.settings.experiments import (
    CompareRoutersSettings,
    TrainRewardModelSettings,
)
from persyn_kedro.foundations.settings.models import (
    Models,
    ModelSettings,
    StudentSettings,
    Teachers,
)
from persyn_kedro.foundations.settings.plugins import is_own
from persyn_kedro.foundations.settings.steps import LabelSettings, TrainRouterSettings

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Step:
    """A node's own version, and which settings it reads of which argument.

    Attributes:
        version: raised by hand when the node's code makes something else of the same inputs.
        reads: by argument; an argument that is not here is read whole.
        always: whether it is done in each run: it looks at what is not among its inputs.
    """

    version: int = 1
    reads: Mapping[str, tuple[str, ...]] = ()  # type: ignore[assignment]
    always: bool = False


def step(version: int = 1, always: bool = False, **reads: tuple[str, ...]) -> Callable[[F], F]:
    """Mark a node's function with its ``Step``."""

    def mark(function: F) -> F:
        function.step = Step(version, reads, always)  # type: ignore[attr-defined]
        return function

    return mark


def step_of(function: Callable[..., Any]) -> Step:
    """Return a function's mark; without one it is version 1 and reads all that it is given."""
    return getattr(function, "step", Step(1, {}))


def hand(arguments: Mapping[str, Any], reads: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return the settings among ``arguments`` as the node may see them.

    What it does not read is set to its default (required settings and those of no effect stay), and
    ``Models`` keeps those models alone that the other arguments name.
    """
    handed = {a: _only(value, reads.get(a)) for a, value in arguments.items()}
    named = {m for a, value in arguments.items() for m in models_named(value, reads.get(a))}
    for argument, value in handed.items():
        if isinstance(value, Models):
            handed[argument] = Models(
                {name: model for name, model in value.root.items() if name in named}
            )
    return handed


def models_used(
    functions: Iterable[tuple[Callable[..., Any], Mapping[str, Any]]],
) -> dict[str, ModelSettings]:
    """Return the models by name that these functions, with their arguments, would be handed."""
    used: dict[str, ModelSettings] = {}
    for function, arguments in functions:
        for value in hand(arguments, step_of(function).reads).values():
            if isinstance(value, Models):
                used.update(value.root)
    return used


def _only(value: Any, fields: tuple[str, ...] | None) -> Any:
    if fields is None or not isinstance(value, BaseModel):
        return value
    kinds = type(value).model_fields
    unread = [
        name
        for name, field in kinds.items()
        if name not in fields and not field.is_required() and NO_EFFECT not in field.metadata
    ]
    defaults = {name: kinds[name].get_default(call_default_factory=True) for name in unread}
    return value.model_copy(update=defaults)


def models_named(value: Any, fields: tuple[str, ...] | None = None) -> Iterable[str]:
    """Return the names of the models that a group of settings uses, as far as it is read."""

    def read(name: str) -> bool:
        return fields is None or name in fields

    if isinstance(value, Teachers):
        return [teacher.model for teacher in value.root.values()]
    if isinstance(value, StudentSettings) and read("model"):
        return [value.model]
    if isinstance(value, TrainRouterSettings) and read("backbone"):
        return [value.backbone]
    if isinstance(value, TrainRewardModelSettings) and read("model"):
        return [value.model]
    if isinstance(value, LabelSettings) and read("quality") and value.quality.model:
        return [value.quality.model]
    return []


def own_code_named(value: Any, fields: tuple[str, ...] | None = None) -> list[str]:
    """Return the ``file.py:name`` that a group of settings uses, as far as it is read."""
    kinds: dict[str, list[str]] = {}
    if isinstance(value, LabelSettings):
        kinds = {"quality": [value.quality.kind], "learnability": [value.learnability]}
    elif isinstance(value, TrainRouterSettings):
        kinds = {"kind": [value.kind]}
    elif isinstance(value, CompareRoutersSettings):
        kinds = {"kinds": value.kinds}
    read = [kind for name, own in kinds.items() if fields is None or name in fields for kind in own]
    return [kind for kind in read if is_own(kind)]


def lasting(value: Any, fields: tuple[str, ...] | None = None) -> Any:
    """Return settings as plain JSON, without those of no effect (and of ``fields`` alone).

    A pool stays in its order, which breaks ties: it becomes a list of pairs. There ``fields`` are
    those of no effect elsewhere that this node does read, such as prices.
    """
    if isinstance(value, RootModel):
        return [
            [name, {**lasting(item), **{field: getattr(item, field) for field in fields or ()}}]
            for name, item in value.root.items()
        ]
    if isinstance(value, BaseModel):
        return {
            name: lasting(getattr(value, name))
            for name, field in type(value).model_fields.items()
            if NO_EFFECT not in field.metadata and (fields is None or name in fields)
        }
    if isinstance(value, dict):
        return {name: lasting(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [lasting(item) for item in value]
    return value
