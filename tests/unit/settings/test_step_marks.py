"""Every step's mark: what it says that the step reads is what the step hangs on.

Every field of every settings: a step's fingerprint hangs on those that its mark names alone.

The fields come from the settings' own models, so that a new one is covered as it is added.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import BaseModel, RootModel, ValidationError

from persyn_kedro.foundations.settings.base import NO_EFFECT, OF_ENGINE
from persyn_kedro.foundations.settings.compare import (
    CompareSettings,
    VariantSettings,
    compares_cheap,
    names_routers,
)
from persyn_kedro.foundations.settings.compare_quality import CompareQualitySettings
from persyn_kedro.foundations.settings.design import asks_adaptively, asks_some
from persyn_kedro.foundations.settings.generate import draws_several
from persyn_kedro.foundations.settings.label import QualitySettings, has_terms
from persyn_kedro.foundations.settings.marks import hand, lasting, step_of
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.prices import has_price_factor
from persyn_kedro.foundations.settings.read import read_settings
from persyn_kedro.foundations.settings.route import needs_reward_scale, weighs_costs
from persyn_kedro.foundations.settings.routers import KINDS
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.pipeline_registry import register_pipelines
from persyn_kedro.runs import fingerprints
from persyn_kedro.runs.records import settings_of
from tests.support.settings import SHORTEST

NODES = sorted(sum(register_pipelines().values(), Pipeline([])).nodes, key=lambda n: n.name)
# One node of each function, as rounds run others' again with the same settings.
WORK = {
    (node.func, *settings_of(node).items()): node
    for node in sorted(NODES, key=lambda n: n.name.count("."), reverse=True)
}.values()
OF_MODELS = [node for node in WORK if "models" in settings_of(node).values()]
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
    for name in ("source_identity", "against_identity", "harness_identity", "code_identity"):
        monkeypatch.setattr(fingerprints, name, lambda _: None)
    monkeypatch.setattr(fingerprints, "load_rubric", lambda name: SimpleNamespace(identity=name))


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


def _another(settings: BaseModel, name: str) -> Any:
    if isinstance(settings, CompareQualitySettings) and name == "kinds":
        return {"x": QualitySettings()}  # each is asked what it needs to judge
    if isinstance(settings, CompareSettings) and name == "variants":
        return {"x": VariantSettings(router="knn")}  # each is asked for its router
    return other(getattr(settings, name))


def changes_of(settings: BaseModel) -> Iterator[Change]:
    """Yield a change of each field."""
    for name, field in type(settings).model_fields.items():
        value, lasts = getattr(settings, name), NO_EFFECT not in field.metadata
        if isinstance(value, BaseModel):
            for inner in changes_of(value):
                copy = settings.model_copy(update={name: inner.value})
                yield Change(f"{name}.{inner.path}", name, lasts and inner.lasts, copy)
        elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
            for inner in changes_of(value[0]):
                copy = settings.model_copy(update={name: [inner.value, *value[1:]]})
                yield Change(f"{name}.0.{inner.path}", name, lasts and inner.lasts, copy)
        else:
            changed = settings.model_copy(update={name: _another(settings, name)})
            yield Change(name, name, lasts, changed)


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
NAMED = "named"
SETTINGS[NAMED] = read_settings(
    {
        **SHORTEST,
        "compare_routers": {"routers": {"r": {"kind": "knn", "neighbours": 3}}},
        "compare": {"variants": {"v": {"router": "r", "learnability": "brier"}}},
    }
)
TERMS = "terms"
SETTINGS[TERMS] = read_settings(
    {**SHORTEST, "label": {"quality": [{}, {"kind": "reward_model", "model": "b", "weight": 2}]}}
)
ROUTER_KINDS = [*KINDS, "mine.py:Router"]


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        pytest.param(node, kind, id=f"{node.name}-{kind}")
        for node in WORK
        for kind in (
            *(ROUTER_KINDS if "train_router" in settings_of(node).values() else ["knn"]),
            *([SEVERAL] if draws_several in step_of(node.func).only_if else []),
            *([PARTIAL] if asks_some in step_of(node.func).only_if else []),
            *([ADAPTIVE] if asks_adaptively in step_of(node.func).only_if else []),
            *([NAMED] if names_routers in step_of(node.func).only_if else []),
            *([TERMS] if has_terms in step_of(node.func).only_if else []),
            *([WEIGHED] if COSTS & step_of(node.func).only_if.keys() else []),
        )
    ],
)
def test_a_step_hangs_on_the_settings_that_its_mark_names_and_on_no_others(
    node: Node, kind: str
) -> None:
    step, values = step_of(node.func), values_of(node, kind)
    before, handed = fingerprint_of(node, values), hand(values, step)
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
            where = f"{argument}.{change.path}"
            counts = argument not in step.unread(after) and change.counts(mark, pool)
            assert (fingerprint_of(node, after) != before) == counts, where
            whole = pool or type(value).model_fields[change.field].is_required()
            if change.lasts and not counts and not whole:
                assert hand(after, step)[argument] == handed[argument], where


def hosted(**endpoint: Any) -> Models:
    """Return the models of the settings, all on a server."""
    model = {"endpoint": {"url": "http://h/v1", "model": "m", **endpoint}}
    return Models.model_validate(dict.fromkeys(SETTINGS["knn"].models.root, model))


def reads_prices(node: Node, kind: str) -> bool:
    values, step = values_of(node, kind), step_of(node.func)
    return "price" in (step.reads_with(values).get("teachers") or ()) and not step.always


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        pytest.param(node, kind, id=f"{node.name}-{kind}")
        for node in NODES
        for kind in ("knn", WEIGHED, ADAPTIVE)
        if reads_prices(node, kind)
    ],
)
def test_a_step_that_reads_prices_hangs_on_what_batches_take_off_them(
    node: Node, kind: str
) -> None:
    def made_by(**endpoint: Any) -> str:
        return fingerprint_of(node, {**values_of(node, kind), "models": hosted(**endpoint)})

    assert made_by(batch="openai") != made_by()
    assert made_by(batch="openai", batch_price_factor=0.4) != made_by(batch="openai")
    assert made_by(batch="openai", batch_price_factor=1.0) == made_by()  # as before batches


SOURCES: list[dict[str, Any]] = [
    {"random": "chat"},
    {"zoo": "z"},
    {"hub": "o/m", "revision": "1"},
    {"local": "d"},
    {"gguf": "f"},
    {"endpoint": {"url": "http://h/v1", "model": "m"}},
]


@pytest.mark.parametrize("node", OF_MODELS, ids=lambda n: n.name)
def test_a_step_hangs_on_the_models_that_its_settings_name(node: Node) -> None:
    step, covered = step_of(node.func), set()
    for source in SOURCES:
        models = Models({name: ModelSettings(**source) for name in "ab"})
        values = values_of(node)
        (argument,) = [name for name, value in values.items() if isinstance(value, Models)]
        values[argument] = models
        named = bool(hand(values, step)[argument].root)
        before = fingerprint_of(node, values)
        for change in changes_of_pool(models):
            covered.add(change.field)
            after = {**values, argument: change.value}
            reads = step.reads_with(after).get(argument, ())
            priced = "price_factor" in reads and has_price_factor([change.value])
            read = named and argument not in step.unread(after)
            counts = read and (priced or change.counts(reads, pool=True))
            if OF_ENGINE in ModelSettings.model_fields[change.field].metadata:
                pool = any(isinstance(value, Teachers) for value in values.values())
                counts = counts and (pool or step.asks_engine(values.values()))
            assert (fingerprint_of(node, after) != before) == counts, change.path
    assert covered == set(ModelSettings.model_fields)


def test_what_only_vllm_reads_is_in_no_record_of_a_training_or_a_scoring() -> None:
    """The student is model c, which is no teacher; the router's language model is c too."""
    raw = {**SHORTEST, "student": {"model": "c"}, "train_router": {"backbone": "c"}}

    def made(**vllm: Any) -> dict[str, str]:
        models = {**raw["models"], "c": {"random": "chat", "random_seed": 9, "vllm": vllm}}
        settings, found = read_settings({**raw, "models": models}), {}
        for node in OF_MODELS:
            given = {a: getattr(settings, group) for a, group in settings_of(node).items()}
            found[node.func.__name__] = fingerprint_of(node, given)
        return found

    before, after = made(), made(kv_cache_dtype="fp8")
    changed = {name for name in before if before[name] != after[name]}
    same = {
        "train_student", "train_on_preferences", "fit_router", "score_learnability",
        "score_withheld",
    }  # fmt: skip
    assert same <= before.keys() - changed
    assert {"answer_test", "train_and_test_students"} <= changed
