"""What a step declares: its version, which settings it reads, and all that ``runs`` must know.

A node's function is marked with ``step``. The declaration is enforced: every other setting that
could change the result reaches the function as its default. A forgotten one therefore has no
effect, which is noticed; it cannot take effect once and then be missed when it changes.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, RootModel

from persyn_kedro.foundations.settings.base import AS_GIVEN, IF_SET, NO_EFFECT, OF_ENGINE
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.needs import ANSWERS, WEIGHTS, Needs
from persyn_kedro.foundations.settings.passed_on import PassedOn
from persyn_kedro.foundations.settings.references import models_named
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.teachers import Teachers

F = TypeVar("F", bound=Callable[..., Any])
Asks = Callable[[Iterable[Any]], bool]  # a question about groups of settings


@dataclass(frozen=True)
class Step:
    """The mark of a node's function.

    Attributes:
        version: the node's own; raise it when the code makes something else of the same inputs.
        versions_of: functions whose modules' ``VERSION`` counts too: the algorithms that it uses.
        always: whether it runs every time, because it reads more than its inputs.
        needs: what its work needs.
        needs_if: what it needs besides, by a question about the settings.
        spoken: by output, what an error calls it if it is missing; its name if not given.
        prints: functions of outputs; the text that they return is printed after a run.
        check: a function of groups of settings, by argument name; before a run it refuses
            settings with which the step cannot run, or warns of what they mean.
        texts: tables of prompts, by argument, of which it reads only the texts, for the ids in
            another input. An id is the hash of its text, so neither other prompts in the table nor
            its other columns change the result. Where a router reads other columns of the prompts
            (``task_columns``), it reads the tables as a whole.
        reads: by argument, the fields that it reads; any other argument is read as a whole.
        only_if: by a question about the settings, arguments, and fields of them
            (``label.quality``), that are read only where the answer is yes. Otherwise they are in
            no record, so that what was made before there was a choice stays valid.
    """

    version: int = 1
    versions_of: tuple[Callable[..., Any], ...] = ()
    always: bool = False
    needs: Needs = Needs.NOTHING
    spoken: Mapping[str, str] = field(default_factory=dict)
    prints: Mapping[Callable[..., str], tuple[str, ...]] = field(default_factory=dict)
    check: Callable[..., None] | None = None
    texts: tuple[str, ...] = ()
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    only_if: Mapping[Asks, tuple[str, ...]] = field(default_factory=dict)
    needs_if: Mapping[Asks, Needs] = field(default_factory=dict)

    def needs_with(self, settings: Iterable[Any]) -> Needs:
        """Return what its work needs with these groups of settings."""
        groups, found = list(settings), self.needs
        for asks, needs in self.needs_if.items():
            found |= needs if asks(groups) else Needs.NOTHING
        return found

    def asks_engine(self, settings: Iterable[Any]) -> bool:
        """Return whether a model may answer; a step that loads one itself asks no engine."""
        needs = self.needs_with(settings)
        return bool(needs & ANSWERS) or not needs & WEIGHTS

    def unread(self, settings: Mapping[str, Any]) -> set[str]:
        """Return the arguments that are not read at all with these settings, by argument."""
        read = {n for asks, names in self.only_if.items() if asks(settings.values()) for n in names}
        return {name for names in self.only_if.values() for name in names} - read

    def reads_with(self, settings: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
        """Return ``reads`` as these settings make it."""
        unread = self.unread(settings)
        found = {**self.reads, **dict.fromkeys(unread, ())}
        read = [name for names in self.only_if.values() for name in names if name not in unread]
        for argument, of_it in (name.split(".") for name in read if "." in name):
            found[argument] = (*found.get(argument, ()), of_it)
        return found

    def texts_with(self, settings: Iterable[Any]) -> tuple[str, ...]:
        """Return ``texts`` as these settings make it."""
        return () if any(_reads_tasks(group) for group in settings) else self.texts

    @property
    def whole_version(self) -> int:
        """The node's own version, plus one for each time that one of ``versions_of`` was raised."""
        modules = {function.__module__ for function in self.versions_of}
        return self.version + sum(sys.modules[module].VERSION - 1 for module in modules)


def step(
    version: int = 1,
    *,
    versions_of: tuple[Callable[..., Any], ...] = (),
    always: bool = False,
    needs: Needs = Needs.NOTHING,
    spoken: Mapping[str, str] | None = None,
    prints: Mapping[Callable[..., str], tuple[str, ...]] | None = None,
    check: Callable[..., None] | None = None,
    texts: tuple[str, ...] = (),
    only_if: Mapping[Asks, tuple[str, ...]] | None = None,
    needs_if: Mapping[Asks, Needs] | None = None,
    **reads: tuple[str, ...],
) -> Callable[[F], F]:
    """Mark a node's function with its ``Step``."""

    def mark(function: F) -> F:
        found = Step(
            version,
            versions_of,
            always,
            needs,
            spoken or {},
            prints or {},
            check,
            texts,
            reads,
            only_if or {},
            needs_if or {},
        )
        function.step = found  # type: ignore[attr-defined]
        return function

    return mark


def step_of(function: Callable[..., Any]) -> Step:
    """Return a function's mark; an unmarked one is version 1 and reads all of its arguments."""
    return getattr(function, "step", Step())


def hand(arguments: Mapping[str, Any], mark: Step) -> dict[str, Any]:
    """Return the settings among ``arguments`` as a node with this mark may see them.

    Fields that it does not read are set to their defaults (required ones and those of no effect
    stay), and ``Models`` keeps only the models that the other arguments name. Where no engine is
    asked, only teachers' models keep what is the engine's: it is part of their answers' identity.
    """
    reads = mark.reads_with(arguments)
    handed = {a: _only(value, reads.get(a)) for a, value in arguments.items()}
    named, answered = set(), set()
    asks = mark.asks_engine(arguments.values())
    for argument, value in arguments.items():
        own = set(models_named(value, reads.get(argument)).values())
        named |= own
        answered |= own if asks or isinstance(value, Teachers) else set()
    for argument, value in handed.items():
        if isinstance(value, Models):
            kept = {name: model for name, model in value.root.items() if name in named}
            handed[argument] = Models(
                {n: model if n in answered else without_engine(model) for n, model in kept.items()}
            )
    return handed


def without_engine(model: ModelSettings) -> ModelSettings:
    """Return a model's settings without those that only an engine reads."""
    kinds = ModelSettings.model_fields
    of_engine = [name for name, field in kinds.items() if OF_ENGINE in field.metadata]
    return model.model_copy(update={name: kinds[name].get_default() for name in of_engine})


def _reads_tasks(group: Any) -> bool:
    if isinstance(group, CompareRoutersSettings):
        return any(router.task_columns for router in group.all_routers)
    return isinstance(group, TrainRouterSettings) and bool(group.task_columns)


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


def lasting(value: Any, fields: tuple[str, ...] | None = None) -> Any:
    """Return settings as plain JSON, without those of no effect (if given, only ``fields``).

    Settings marked ``IF_SET`` are left out while they have their default value.

    A pool becomes a list of pairs, to keep its order, which breaks ties. For a pool, ``fields``
    are those of no effect elsewhere that this node does read, such as prices.
    """
    if isinstance(value, RootModel):
        return [
            [name, {**lasting(item), **_set_among(item, fields or ())}]
            for name, item in value.root.items()
        ]
    if isinstance(value, BaseModel):
        kinds = type(value).model_fields
        names = [n for n in kinds if NO_EFFECT not in kinds[n].metadata]
        found = _set_among(value, [n for n in names if fields is None or n in fields])
        made = {
            name: _as_given(inner) if AS_GIVEN in kinds[name].metadata else lasting(inner)
            for name, inner in found.items()
        }
        return {**made, **lasting(value.model_extra or {})}
    if isinstance(value, dict):
        return {name: lasting(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [lasting(item) for item in value]
    return value


def _as_given(groups: Any) -> Any:
    """Return a mapping of groups as plain JSON, with their given fields alone."""
    return {
        name: {f: lasting(getattr(group, f)) for f in sorted(group.model_fields_set)}
        if isinstance(group, BaseModel)
        else group
        for name, group in groups.items()
    }


def _set_among(value: BaseModel, fields: Iterable[str]) -> dict[str, Any]:
    """Return these fields, without those marked ``IF_SET`` that have their default value."""
    kinds = type(value).model_fields
    found = {f: _effective(getattr(value, f), kinds[f].metadata) for f in fields}
    return {
        name: inner
        for name, inner in found.items()
        if IF_SET not in kinds[name].metadata or lasting(inner) != lasting(kinds[name].default)
    }


def _effective(value: Any, metadata: Iterable[Any]) -> Any:
    """Return a field's value, without the keys of a ``PassedOn`` mapping that have no effect."""
    for mark in metadata:
        if isinstance(mark, PassedOn):
            return mark.lasting(value)
    return value
