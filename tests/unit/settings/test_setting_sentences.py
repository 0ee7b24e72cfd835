"""Settings that were refused, or taken, against what their writer meant; and what is told."""

from typing import Any

import pytest

from persyn_kedro.cli.params import parse_params
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes.ray.cluster import connect
from persyn_kedro.foundations.settings.read import read_settings
from persyn_kedro.foundations.settings.routers import (
    KINDS,
    PluginRouterSettings,
    TrainRouterSettings,
    settings_of_kind,
)
from persyn_kedro.pipeline_registry import register_pipelines
from persyn_kedro.runs.hooks import ProjectHooks, _merged
from tests.support.nasty_settings import RICH, with_value


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("label.alpha", "'label.alpha': write label: {alpha: …}."),
        ("labl.alpha", "'labl.alpha': write labl: {alpha: …}."),
        ("label.quality.kind", "'label.quality.kind': write label: {quality: {kind: …}}."),
    ],
)
def test_a_key_with_dots_is_refused_with_what_to_write(key: str, advice: str) -> None:
    with pytest.raises(PersynError) as caught:
        read_settings({**RICH, key: 0.8})
    assert str(caught.value) == f"Unknown parameter {advice}"


def test_so_is_one_inside_a_group() -> None:
    with pytest.raises(PersynError, match=r"label\.quality\.kind: write quality: {kind: …}\.$"):
        read_settings(with_value(("label", "quality.kind"), "exact_answer"))


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (
            ("cluster", "runtime_env"),
            {"env_vars": {"OMP_NUM_THREADS": 1}},
            "Parameter cluster.runtime_env.env_vars.OMP_NUM_THREADS: must be a string: put "
            "it in quotes.",
        ),
        (
            ("prepare", "source", "tasks", 0, "config", "ops"),
            [["+"], "-"],
            "Parameter prepare.source.tasks.0.config.ops: must be a number, string, boolean, or a "
            "list of these.",
        ),
        (
            ("models", "e", "endpoint", "timeout_seconds"),
            3000000,
            "Parameter models.e.endpoint.timeout_seconds: must be a finite number of at most "
            "1000000 (it is 3000000).",
        ),
        (
            ("models", "e", "endpoint", "extra_body"),
            {"temperature": 1},
            "Parameter models.e.endpoint.extra_body: temperature is already set by the teacher's "
            "sampling.",
        ),
        (
            ("models", "e", "endpoint", "extra_body"),
            {"stream": True},
            "Parameter models.e.endpoint.extra_body: stream is already set by this project (no "
            "streaming).",
        ),
        (
            ("models", "e", "endpoint", "extra_headers"),
            {"X Tenant": "TENANT"},
            "Parameter models.e.endpoint.extra_headers: 'X Tenant' cannot be a header's name.",
        ),
        (
            ("models", "e", "endpoint", "extra_headers"),
            {"X-Tenant": "sk-the-value-itself"},
            "Parameter models.e.endpoint.extra_headers: X-Tenant must name an environment "
            "variable, not hold the value.",
        ),
        (
            ("teachers", "x", "cached_prompt_price"),
            0.5,
            "Parameter teachers.x.cached_prompt_price: must not be above prompt_price (it is 0.5).",
        ),
        (
            ("evaluate", "sampling"),
            {"top_k": None},
            "Parameter evaluate.sampling: top_k must not be null: the student is local.",
        ),
        (
            ("sft", "learning_rate"),
            1e-320,
            "Parameter sft.learning_rate: must be 0 or at least 1e-12 (it is 1e-320).",
        ),
    ],
)
def test_what_is_told(path: tuple[Any, ...], value: Any, sentence: str) -> None:
    with pytest.raises(PersynError) as caught:
        read_settings(with_value(path, value))
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("router", "sentence"),
    [
        (
            {"kind": "linear", "neighbours": 4},
            "Parameter train_router: neighbours is for kind knn, and kind is linear: leave it out.",
        ),
        (
            {"ridge": 1.0},
            "Parameter train_router: ridge is for kinds linear, mlp, and kind is language_model: "
            "leave it out.",
        ),
        ({"kind": "knn", "neighbors": 4}, "Unknown parameter train_router.neighbors."),
        (
            {"kind": "knn", "neighbours": 0},
            "Parameter train_router.neighbours: Input should be greater than or equal to 1 (it is "
            "0).",
        ),
        (
            {"kind": "bert"},
            "Parameter train_router.kind: must be language_model, linear, mlp, knn, task_type, "
            "constant, ensemble, auto or your own file.py:name (it is 'bert').",
        ),
    ],
)
def test_a_router_s_key_is_one_of_its_kind(router: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PersynError) as caught:
        read_settings({**RICH, "train_router": router})
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        ("language_model", {"epochs": 2, "head_learning_rate": 0.1}),
        ("linear", {"ridge": 1.0}),
        ("knn", {"neighbours": 4}),
        ("mine.py:Router", {"epochs": 2, "ridge": 1.0, "neighbours": 4}),
    ],
)
def test_a_router_has_the_keys_of_its_kind(kind: str, own: dict[str, Any]) -> None:
    raw = {"kind": kind, "backbone": "a", "batch_size": 3, **own}
    router = read_settings({**RICH, "train_router": raw}).train_router
    assert type(router) is KINDS.get(kind, PluginRouterSettings)
    assert raw.items() <= router.model_dump().items()
    assert TrainRouterSettings(**raw) == router


def test_another_kind_takes_the_keys_that_it_has() -> None:
    knn = TrainRouterSettings(kind="knn", backbone="a", batch_size=3, neighbours=4)
    linear = settings_of_kind("linear", knn.model_dump())
    assert linear == TrainRouterSettings(kind="linear", backbone="a", batch_size=3)
    own = settings_of_kind("mine.py:Router", knn.model_dump())
    assert own.model_dump().items() >= {"neighbours": 4, "ridge": None, "epochs": 4}.items()


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ("seed=abc", "seed must be an integer"),
        ("seed=-1", "seed must be from 0 to 4294967295 (it is -1)"),
        ("sft.learning_rate=.inf", "sft.learning_rate must be a finite number"),
        ("sft.learning_rate=inf", "sft.learning_rate: Input should be a valid number"),
        ("label.alpha=true", "label.alpha: Input should be a valid number (it is True)"),
        ("compare.seeds=[1,-2]", "compare.seeds.1: Input should be greater than or equal to 0"),
        ("compare.students=[random]", "students must include persyn"),
        ("compare.students=[persyn,lucky]", "students has 'lucky', which is not compared"),
    ],
)
def test_what_is_told_of_a_value_of_the_command_line(params: str, sentence: str) -> None:
    """As read from ``--params``: tests/dag/test_refused_runs.py shows that it stops a run."""
    with pytest.raises(PersynError) as caught:
        read_settings(_merged(RICH, parse_params(params)))
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["top_p", "repetition_penalty"])
def test_numbers_next_to_nothing_are_refused(name: str) -> None:
    for number in (1e-320, 1e-13, *([1e-4] * (name == "repetition_penalty"))):
        with pytest.raises(PersynError, match=name):
            read_settings(with_value(("evaluate", "sampling"), {name: number}))


def test_whole_numbers_may_be_written_with_a_point() -> None:
    raw = with_value(("compare", "seeds"), [1.0, 2])
    settings = read_settings({**raw, "seed": 7.0})
    assert repr(settings.seed) == "7" and repr(settings.compare.seeds) == "[1, 2]"
    for bad in (7.5, "7", True, -1.0):
        with pytest.raises(PersynError, match="^Parameter seed must be"):
            read_settings({**RICH, "seed": bad})


def test_a_seed_with_a_point_reaches_the_steps_as_a_whole_number() -> None:
    node = next(n for n in register_pipelines()["prepare"].nodes if "params:seed" in n.inputs)
    inputs = {"params:prepare": read_settings(RICH).prepare, "params:seed": 7.0}
    assert repr(ProjectHooks().before_node_run(node, inputs)["params:seed"]) == "7"


def test_what_ray_alone_refuses_of_a_job_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    from ray.runtime_env import RuntimeEnv

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda runtime_env, **_: RuntimeEnv(**runtime_env))
    raw = {"address": "h:6379", "runtime_env": {"working_dir": 5}}
    with pytest.raises(PersynError, match="cannot be used: `working_dir` must be a string"):
        connect(read_settings(with_value(("cluster",), raw)).cluster)


@pytest.mark.parametrize("character", ["\u3000", "\u202f", "\u200d", "\u200c", "\u00a0"])
def test_characters_of_other_languages_are_taken(character: str) -> None:
    source = {"file": f"a{character}b.jsonl", "prompt_column": f"a{character}b"}
    settings = read_settings(with_value(("prepare", "source"), source))
    assert settings.prepare.source.file == source["file"]


@pytest.mark.parametrize("character", ["\n", "\x1b", "\u2028", "\u2029", "\ud800", "\x85"])
def test_characters_that_end_or_control_a_line_are_not(character: str) -> None:
    with pytest.raises(PersynError, match=r"prepare\.source\.file"):
        read_settings(with_value(("prepare", "source"), {"file": f"a{character}b.jsonl"}))
