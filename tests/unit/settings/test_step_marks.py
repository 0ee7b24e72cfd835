"""Every step's mark: what it names is there, and what it says is what the step does.

Every field of every settings: a step's fingerprint hangs on those that its mark names alone.

The fields come from the settings' own models, so that a new one is covered as it is added.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any

import pytest
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import BaseModel, RootModel, ValidationError

from persyn_kedro.foundations.settings.base import NO_EFFECT
from persyn_kedro.foundations.settings.design import asks_adaptively, asks_some
from persyn_kedro.foundations.settings.experiments import compares_cheap
from persyn_kedro.foundations.settings.generate import draws_several
from persyn_kedro.foundations.settings.marks import hand, lasting, step_of
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.needs import Needs
from persyn_kedro.foundations.settings.read import GROUPS, read_settings
from persyn_kedro.foundations.settings.route import needs_reward_scale, weighs_costs
from persyn_kedro.foundations.settings.routers import KINDS
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.pipeline_registry import register_pipelines
from persyn_kedro.runs import fingerprints
from persyn_kedro.runs.hooks import ProjectHooks
from persyn_kedro.runs.records import settings_of, texts_of
from tests.support.settings import SHORTEST
from tests.support.tables import dataset

NODES = sorted(sum(register_pipelines().values(), Pipeline([])).nodes, key=lambda n: n.name)
OF_MODELS = [node for node in NODES if "models" in settings_of(node).values()]
SETTINGS = {
    kind: read_settings(
        {
            **SHORTEST,
            "train_reward_model": {"model": "a"},
            "train_router": {"kind": kind, "backbone": "a"},
        }
    )
    for kind in (*KINDS, "mine.py:Router")
}


@pytest.fixture(autouse=True)
def nothing_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the settings themselves as all that a reading holds."""
    for name in ("source_identity", "harness_identity", "code_identity"):
        monkeypatch.setattr(fingerprints, name, lambda _: None)


def fingerprint_of(node: Node, values: dict[str, Any]) -> str:
    groups = settings_of(node)
    given = {argument: (groups[argument], value) for argument, value in values.items()}
    record = fingerprints.reading(node.func, given, {}, lambda _, model: lasting(model))
    return fingerprints.fingerprint(record)


def other(value: Any) -> Any:
    """Return another value; that it differs is enough, as nothing validates it here."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, dict):
        return {**value, "x": 1}
    return [*value, "x"] if isinstance(value, list) else f"{value}x"


@dataclass(frozen=True)
class Change:
    """Another value of one field, at any depth."""

    path: str
    field: str  # of the group itself
    lasts: bool  # no field on the path is marked NO_EFFECT
    value: Any

    def counts(self, mark: tuple[str, ...] | None, pool: bool) -> bool:
        """Tell whether a step with this mark on the group hangs on the field."""
        if pool:  # is read whole; its mark names fields of no effect elsewhere
            return self.lasts or self.field in (mark or ())
        return self.lasts and (mark is None or self.field in mark)


def changes_of(settings: BaseModel) -> Iterator[Change]:
    """Yield a change of each field."""
    for name, field in type(settings).model_fields.items():
        value, lasts = getattr(settings, name), NO_EFFECT not in field.metadata
        if isinstance(value, BaseModel):
            for inner in changes_of(value):
                copy = settings.model_copy(update={name: inner.value})
                yield Change(f"{name}.{inner.path}", name, lasts and inner.lasts, copy)
        else:
            yield Change(name, name, lasts, settings.model_copy(update={name: other(value)}))


def changes_of_pool(pool: RootModel) -> Iterator[Change]:
    """Yield each field's change in all members of a pool at once, where that is allowed."""
    members = [list(changes_of(member)) for member in pool.root.values()]
    for same in zip(*members, strict=True):
        try:
            value = type(pool)(dict(zip(pool.root, [c.value for c in same], strict=True)))
        except ValidationError:  # such as a second source of a model
            continue
        yield replace(same[0], value=value)


def values_of(node: Node, kind: str = "language_model") -> dict[str, Any]:
    """Return the node's settings, with a router of this kind, or several answers to a prompt."""
    return {a: getattr(SETTINGS[kind], group) for a, group in settings_of(node).items()}


SEVERAL = "several"
SETTINGS[SEVERAL] = read_settings({**SHORTEST, "generate": {"samples": 2, "keep": "all"}})
PARTIAL, ADAPTIVE = "partial", "adaptive"
for _name, _design in ((PARTIAL, {"teachers_per_prompt": 2}), (ADAPTIVE, {"adaptive": {}})):
    SETTINGS[_name] = read_settings(
        {**SHORTEST, "label": {"normalise": "pool_z", "design": _design}}
    )
WEIGHED, COSTS = "weighed", {weighs_costs, needs_reward_scale, compares_cheap}
SETTINGS[WEIGHED] = read_settings(
    {
        **SHORTEST,
        "route": {"objective": {"cost_weight": 0.1}, "capacity": {}},
        "compare": {"strategies": ["persyn", "persyn_cheap"]},
    }
)
ROUTER_KINDS = [*KINDS, "mine.py:Router"]


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        pytest.param(node, kind, id=f"{node.name}-{kind}")
        for node in NODES
        for kind in (
            *(ROUTER_KINDS if "train_router" in settings_of(node).values() else ["knn"]),
            *([SEVERAL] if draws_several in step_of(node.func).only_if else []),
            *([PARTIAL] if asks_some in step_of(node.func).only_if else []),
            *([ADAPTIVE] if asks_adaptively in step_of(node.func).only_if else []),
            *([WEIGHED] if COSTS & step_of(node.func).only_if.keys() else []),
        )
    ],
)
def test_a_step_hangs_on_the_settings_that_its_mark_names_and_on_no_others(
    node: Node, kind: str
) -> None:
    step, values = step_of(node.func), values_of(node, kind)
    before, handed = fingerprint_of(node, values), hand(values, step.reads_with(values))
    for argument, value in values.items():
        if isinstance(value, Models):
            continue
        if not isinstance(value, BaseModel):
            after = fingerprint_of(node, {**values, argument: other(value)})
            assert (after == before) == (argument in step.unread(values)), argument
            continue
        mark, pool = step.reads_with(values).get(argument), isinstance(value, RootModel)
        assert set(mark or ()) <= {c.field for c in changes_of(value) if c.lasts} or pool
        for change in changes_of_pool(value) if pool else changes_of(value):
            after = {**values, argument: change.value}
            reads = step.reads_with(after)  # which other answers there are may decide what is read
            mark = reads.get(argument)
            where, counts = f"{argument}.{change.path}", change.counts(mark, pool)
            assert (fingerprint_of(node, after) != before) == counts, where
            required = not pool and type(value).model_fields[change.field].is_required()
            if change.lasts and not counts and not required:
                assert hand(after, reads)[argument] == handed[argument], where


LOOK_UP = [node for node in NODES if step_of(node.func).texts]


@pytest.mark.parametrize("node", LOOK_UP, ids=lambda n: n.name)
def test_what_a_step_looks_up_by_id_is_handed_to_it_as_ids_and_texts_alone(
    node: Node,
) -> None:
    """Whatever else of the prompts it read, a change of that would not redo it."""
    assert set(step_of(node.func).texts) < set(inspect.signature(node.func).parameters)
    names = texts_of(node)
    assert len(names) == len(step_of(node.func).texts)
    prompts = dataset([{"prompt_id": "p", "prompt": "t", "reference": "r"}], schemas.SOURCE_PROMPTS)
    groups = {
        f"params:{group}": getattr(SETTINGS["knn"], group) for group in settings_of(node).values()
    }
    hooks = ProjectHooks()
    hooks.settings, hooks.models = SETTINGS["knn"], set()  # as after_context_created leaves them
    handed = hooks.before_node_run(node, {**groups, **dict.fromkeys(names, prompts)})
    for name in names:
        rows = handed[name].to_table().to_pylist()
        assert rows == [{"prompt_id": "p", "prompt": "t", "messages": None}]


SOURCES: list[dict[str, Any]] = [
    {"random": "chat"},
    {"zoo": "z"},
    {"hub": "o/m", "revision": "1"},
    {"local": "d"},
    {"gguf": "f"},
    {"endpoint": {"url": "http://h/v1", "model": "m"}},
]


@pytest.mark.parametrize(
    "node", [n for n in NODES if "models" in settings_of(n).values()], ids=lambda n: n.name
)
def test_a_step_hangs_on_the_models_that_its_settings_name(node: Node) -> None:
    reads = step_of(node.func).reads
    covered = set()
    for source in SOURCES:
        models = Models({name: ModelSettings(**source) for name in "ab"})
        values = values_of(node)
        (argument,) = [name for name, value in values.items() if isinstance(value, Models)]
        values[argument] = models
        named = bool(hand(values, reads)[argument].root)
        before = fingerprint_of(node, values)
        for change in changes_of_pool(models):
            covered.add(change.field)
            counts = named and change.counts(reads.get(argument), pool=True)
            after = {**values, argument: change.value}
            assert (fingerprint_of(node, after) != before) == counts, change.path
    assert covered == set(ModelSettings.model_fields)


@pytest.mark.parametrize("node", NODES, ids=lambda n: n.name)
def test_what_a_mark_names_is_the_steps_own(node: Node) -> None:
    mark = step_of(node.func)
    outputs = {name for other in NODES if other.func is node.func for name in other.outputs}
    made = {name.rpartition(".")[2] for name in outputs}  # those of rounds are prefixed
    assert mark.spoken.keys() <= made
    assert {name for names in mark.prints.values() for name in names} <= made
    if mark.check is not None:
        assert set(inspect.signature(mark.check).parameters) <= {*GROUPS}


@pytest.mark.parametrize("node", NODES, ids=lambda n: n.name)
def test_what_a_step_is_handed_shows_in_its_needs(node: Node) -> None:
    needs = reduce(or_, step_of(node.func).needs_if.values(), step_of(node.func).needs)
    handed = {*inspect.signature(node.func).parameters}
    asks = {"engine", "seed", "response_store"} <= handed
    asks = asks and "generate" not in handed  # which only counts whom a design asks
    assert (Needs.TEACHERS in needs) == ("ledger" in handed)
    assert (Needs.STUDENT in needs) == (asks and "ledger" not in handed)
    assert bool(needs & (Needs.TRAINER | Needs.PROCESSES)) == ("workspace" in handed)
    assert (Needs.MODEL | Needs.CLUSTER in needs) == ("statistics_store" in handed)
    assert Needs.ROUTER in needs or "routing_store" not in handed
