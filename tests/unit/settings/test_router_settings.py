"""Routers among others: what they inherit, what they are refused, and what records hold of them."""

import inspect
from typing import Any

import pytest
from kedro.pipeline.node import Node

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings
from persyn_kedro.foundations.settings.marks import lasting
from persyn_kedro.foundations.settings.read import read_settings
from persyn_kedro.foundations.settings.references import models_named, own_code_named
from persyn_kedro.foundations.settings.router_defaults import completed
from persyn_kedro.foundations.settings.routers import (
    AutoRouterSettings,
    TrainRouterSettings,
    settings_of_kind,
)
from persyn_kedro.pipeline_registry import MAKERS
from persyn_kedro.runs.pool_checks import check_pool
from persyn_kedro.runs.records import texts_of
from tests.support.settings import SHORTEST

MIX = {"kind": "ensemble", "members": [{"kind": "knn"}, {"kind": "linear", "backbone": "b"}]}


def router(**keys: Any) -> TrainRouterSettings:
    return read_settings({**SHORTEST, "train_router": {"backbone": "a", **keys}}).train_router


@pytest.mark.parametrize(
    ("keys", "record"),
    [
        ({"kind": "knn"}, {"neighbours": 8}),
        ({"kind": "linear"}, {"ridge": None}),
        (
            {"kind": "language_model"},
            {
                "epochs": 4, "learning_rate": 1e-5, "head_learning_rate": 1e-3,
                "weight_decay": 0.01, "warmup_fraction": 0.1,
            },
        ),
    ],
)  # fmt: skip
def test_records_of_older_projects_are_as_they_were(
    keys: dict[str, Any], record: dict[str, Any]
) -> None:
    common = {
        "backbone": "a", "invalid": "leave_out", "batch_size": 8, "max_prompt_tokens": 1024, **keys,
    }  # fmt: skip
    assert lasting(router(**keys)) == {**common, **record}
    assert set(lasting(CompareRoutersSettings())) == {
        "kinds", "folds", "sizes", "resamples", "confidence",
    }  # fmt: skip


def test_parts_inherit_from_the_router_around_them() -> None:
    found = router(kind="auto", invalid="lose", batch_size=3, candidates={"mix": MIX})
    mix = found.named["mix"]
    assert (mix.backbone, mix.invalid, mix.batch_size) == ("a", "lose", 3)
    assert [(m.kind, m.backbone, m.invalid) for m in mix.parts] == [
        ("knn", "a", "lose"),
        ("linear", "b", "lose"),
    ]
    assert found.readers == ["a", "b"]
    assert set(models_named(found).values()) == {"a", "b"}
    assert settings_of_kind("auto", found.model_dump(mode="json")) == found  # as it is saved


def test_without_candidates_cheap_kinds_compete_with_the_constant() -> None:
    found = router(kind="auto", invalid="lose")
    assert isinstance(found, AutoRouterSettings)
    assert list(found.named) == ["constant", "knn", "linear", "task_type", "ensemble"]
    assert {part.invalid for part in found.parts} == {"lose"}
    assert found.readers == ["a"] and found.task_columns == ["source"]
    weighted = found.named["ensemble"].parts[1]
    assert (weighted.kind, weighted.loss_name) == ("linear", "weighted")


def test_a_model_that_embeds_is_the_backbone_too_where_none_is_set() -> None:
    given = {"kind": "knn", "embedding": {"model": "b"}}
    assert TrainRouterSettings(**given).backbone == "b"
    found = router(**given)
    assert (found.backbone, found.readers) == ("a", ["b"])


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            {"kind": "auto", "insist": "x"},
            "Parameter train_router: insist must be one of constant, knn, linear, task_type, "
            "ensemble.",
        ),
        (
            {"kind": "ensemble", "members": [MIX]},
            "Parameter train_router: members of kind ensemble must not be of kind ensemble.",
        ),
        (
            {"kind": "auto", "candidates": {"near": {"kind": "knn", "loss": "soft"}}},
            "Parameter train_router.candidates.near: loss is for kinds language_model, linear, "
            "mlp, and kind is knn: leave it out.",
        ),
    ],
)
def test_what_cannot_be_a_part_is_refused(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PersynError) as told:
        router(**keys)
    assert str(told.value) == sentence


def test_a_compared_router_has_the_keys_that_it_lacks_from_train_router() -> None:
    around = router(kind="knn", invalid="lose", neighbours=16)
    compared = read_settings(
        {
            **SHORTEST,
            "compare_routers": {"routers": {"near": {"kind": "knn", "shrinkage": 0.0}, "mix": MIX}},
        }
    ).compare_routers
    near, mix = (completed(r, around) for r in compared.routers.values())
    assert (near.backbone, near.invalid, near.neighbours) == ("a", "lose", 16)
    assert [(m.backbone, m.invalid) for m in mix.parts] == [("a", "lose"), ("b", "lose")]
    assert mix.parts[0].neighbours == 8  # a part only inherits how prompts are read and counted
    assert models_named(compared) == {"routers.mix.members.1.backbone": "b"}  # what it names itself
    record = lasting(compared)["routers"]
    assert record["near"] == {"kind": "knn", "shrinkage": 0.0}  # the default, but given
    with pytest.raises(PersynError, match="must not be named constant, which is always compared"):
        read_settings({**SHORTEST, "compare_routers": {"routers": {"constant": {"kind": "knn"}}}})


def test_own_code_of_parts_is_found() -> None:
    found = router(kind="ensemble", members=[{"kind": "knn"}, {"kind": "mine.py:Router"}])
    assert own_code_named(found) == ["mine.py:Router"]


def test_a_router_of_tasks_reads_whole_tables_of_prompts() -> None:
    nodes: list[Node] = MAKERS["compare_routers"]().nodes
    (node,) = [n for n in nodes if "routing_store" in inspect.signature(n.func).parameters]
    assert texts_of(node) == texts_of(node, [router(kind="knn")]) == ["source_prompts"]
    assert texts_of(node, [router(kind="task_type")]) == []
    compared = CompareRoutersSettings(routers={"tasks": {"kind": "task_type"}})
    assert texts_of(node, [router(kind="knn"), compared]) == []


def test_a_column_that_no_source_keeps_is_refused() -> None:
    source = {"file": "p.jsonl", "keep": ["topic"]}
    raw = {**SHORTEST, "prepare": {"source": source}}
    for column in ("source", "topic"):
        keys = {"kind": "task_type", "backbone": "a", "task_column": column}
        check_pool(read_settings({**raw, "train_router": keys}))
    keys["task_column"] = "level"
    with pytest.raises(PersynError, match="keeps the task_column 'level'; add it to .* topic"):
        check_pool(read_settings({**raw, "train_router": keys}))
    compared = {"routers": {"x": {"kind": "task_type", "task_column": "level"}}}
    settings = read_settings({**raw, "compare_routers": compared})
    check_pool(settings)
    with pytest.raises(PersynError, match="Parameter compare_routers: no source of prompts keeps"):
        check_pool(settings, ["compare_routers"])
