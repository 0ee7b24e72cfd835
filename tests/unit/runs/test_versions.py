"""An algorithm whose VERSION is raised has the steps done again whose results depend on it.

Which steps those are is read from the sources, so that a mark that forgets an algorithm is found.
"""

import inspect
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from kedro.pipeline.node import Node

from persyn_kedro import domain
from persyn_kedro.domain.comparison import trial
from persyn_kedro.domain.comparison.trial import Setup
from persyn_kedro.domain.learnability import statistics
from persyn_kedro.domain.quality import exact_answer, reward_model
from persyn_kedro.domain.router_comparison.fitting import Fitting
from persyn_kedro.domain.routers import registry
from persyn_kedro.domain.student import sft
from persyn_kedro.foundations.settings.design import asks_adaptively
from persyn_kedro.foundations.settings.marks import lasting, step, step_of
from persyn_kedro.foundations.settings.read import read_settings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.student import SftSettings
from persyn_kedro.pipeline_registry import MAKERS
from persyn_kedro.runs import fingerprints
from persyn_kedro.runs.records import settings_of
from tests.support.reached import modules_reached
from tests.support.settings import SHORTEST

ALL = {node.func: node for make in MAKERS.values() for node in make().nodes}.values()
NODES = [node for node in ALL if not step_of(node.func).always]  # the others are never skipped
# Of these the records of steps that judge answers say the version by themselves.
JUDGE = "persyn_kedro.domain.quality.exact_answer"
JUDGES = {JUDGE, "persyn_kedro.domain.quality.code_tests"}


def is_versioned(source: str) -> bool:
    return "\nVERSION = " in source


def behind(node: Node) -> set[str]:
    """Return the modules whose VERSION the node's mark takes."""
    return {function.__module__ for function in step_of(node.func).versions_of}


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_a_step_takes_the_version_of_each_algorithm_that_it_runs(node: Node) -> None:
    reached = {
        module
        for module in modules_reached(node.func)
        if is_versioned(inspect.getsource(sys.modules[module]))
    }
    assert behind(node) == reached - JUDGES


def test_there_is_no_version_that_no_step_takes() -> None:
    (root,) = domain.__path__
    files = {path for path in Path(root).rglob("*.py") if is_versioned(path.read_text())}
    taken = set().union(*map(behind, NODES)) | JUDGES
    assert files == {Path(str(sys.modules[module].__file__)) for module in taken}


SETTINGS = read_settings({**SHORTEST, "generate": {"verification": "drop"}})


def record_of(node: Node) -> fingerprints.Record:
    values = {a: (group, getattr(SETTINGS, group)) for a, group in settings_of(node).items()}
    return fingerprints.reading(node.func, values, {}, lambda _, model: lasting(model))


def raise_version(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)


@pytest.mark.parametrize("module", sorted(set().union(*map(behind, NODES))))
def test_a_raised_version_has_the_steps_that_run_it_done_again_and_no_others(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("source_identity", "against_identity", "harness_identity"):
        monkeypatch.setattr(fingerprints, name, lambda _: None)
    before = {node.name: record_of(node) for node in NODES}
    raise_version(sys.modules[module], monkeypatch)
    for node in NODES:
        was, now = before[node.name], record_of(node)
        if module not in behind(node):
            assert now == was
            continue
        version = was["step_version"]
        told = f"step version {version} is now {version + 1}"
        assert fingerprints.fingerprint(was) != fingerprints.fingerprint(now)
        assert fingerprints.difference(was, now) == told


def test_so_has_another_way_of_judging(monkeypatch: pytest.MonkeyPatch) -> None:
    judging = [
        node
        for node in NODES
        if JUDGE in modules_reached(node.func)
        and "quality_store"
        not in step_of(node.func).only_if.get(asks_adaptively, ())  # judges in no full design
    ]
    before = [record_of(node) for node in judging]
    version = exact_answer.VERSION
    raise_version(exact_answer, monkeypatch)
    told = {
        fingerprints.difference(was, record_of(n)) for n, was in zip(judging, before, strict=True)
    }
    assert told == {f"exact_answer.version was '{version}', is '{version + 1}'"}


def test_a_step_of_several_algorithms_counts_them_and_its_own() -> None:
    @step(version=2, versions_of=(registry.router_class, registry.load_router, sft.fits))
    def work() -> None: ...

    assert step_of(work).whole_version == 2 + (registry.VERSION - 1) + (sft.VERSION - 1)


MODEL: Any = SimpleNamespace(
    weights_id="w", chat_template="t", settings=SimpleNamespace(dtype="float32")
)


def router_scores() -> dict[str, Any]:
    return Fitting(TrainRouterSettings(), MODEL, 0, {}, np.zeros((0, 2)), {}).identity


def trials() -> dict[str, Any]:
    recipe = SimpleNamespace(weights_id="w", recipe_id="r")
    engine = SimpleNamespace(max_model_len=1)
    exam = SimpleNamespace(recipe=lambda _: recipe, prompts=[], engine=engine)
    setup = SimpleNamespace(untrained=MODEL, exam=exam, sft=SftSettings())
    return Setup.identity.func(setup)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("module", "identity"),
    [
        (statistics, lambda: statistics.scorer_id(MODEL, None, "strip")),
        (reward_model, lambda: reward_model.RewardModel(MODEL).identity),
        (registry, router_scores),
        (sft, trials),
        (trial, trials),
    ],
)
def test_what_a_store_holds_of_an_older_version_is_not_taken(
    module: Any, identity: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identity()
    raise_version(module, monkeypatch)
    assert identity() != before
