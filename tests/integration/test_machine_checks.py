"""A cluster or GPUs that are not there, and a student that cannot be shared out: told at once."""

import importlib.util
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from persyn_kedro.domain.quality.code import sandbox
from persyn_kedro.foundations import processes
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import resolve_models
from persyn_kedro.foundations.processes.ray.cluster import check_cluster, check_reachable
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.read import Settings, read_settings
from persyn_kedro.pipeline_registry import register_pipelines
from persyn_kedro.runs import libraries
from persyn_kedro.runs.machines import check_machines, needs_check
from tests.support.settings import SHORTEST

NOBODY = "127.0.0.1:9"
FAR = {"endpoint": {"url": "http://127.0.0.1:9/v1", "model": "m"}}


def settings(**changes: Any) -> Settings:
    raw = {**SHORTEST, "models": {**SHORTEST["models"], "judge": {"local": "j"}}}
    return read_settings({**raw, **changes})


def check(*steps: str, **changes: Any) -> None:
    """Check a run of these pipelines, or of these nodes alone."""
    pipelines = register_pipelines()
    nodes = [n for p in pipelines.values() for n in p.nodes]
    check_machines([n for n in nodes if {n.name, n.name.partition(".")[0]} & {*steps}],
                   settings(**changes))  # fmt: skip


@pytest.fixture
def listening() -> Iterator[str]:
    """Something that is reached, whatever it is."""
    from ray._private.services import get_node_ip_address  # Ray takes it for the loopback's

    host = get_node_ip_address()
    with closing(socket.create_server((host, 0))) as server:
        yield f"{host}:{server.getsockname()[1]}"


DEAD = {"address": NOBODY}
JUDGED = {"quality": {"kind": "reward_model", "model": "judge"}}
ASKED = {"kind": "judge", "rubric": "correctness"}
HOSTED = {"models": {"a": {"random": "chat"}, "far": FAR}}


def kinds(**way: Any) -> dict[str, Any]:
    """Return settings of compare_quality that name this way of judging, and exact answers."""
    return {"kinds": {"exact": {"kind": "exact_answer"}, "other": way}}


RAY = {"name": "ray", "inside": "transformers"}
SAMPLED = {name: {"model": "a", "system": name, "sampling": {"temperature": 1.0}} for name in "xy"}
BEST = {"samples": 2, "keep": "best"}


@pytest.mark.parametrize(
    ("steps", "changes"),
    [
        (["route"], {}),
        (["label.score_learnability"], {}),
        (["evaluate.score_withheld_after"], {}),
        (["label.score_quality"], {"label": JUDGED}),
        (["generate"], {"label": JUDGED, "teachers": SAMPLED, "generate": BEST}),
        (["compare_quality.judge_answers"], {"compare_quality": kinds(**JUDGED["quality"])}),
        (
            ["compare_quality.judge_answers"],
            {"engine": RAY, "compare_quality": kinds(**ASKED, model="judge")},
        ),
        (["generate"], {"engine": RAY}),
        (["evaluate.answer_test_before"], {"engine": RAY}),
        (["compare.train_and_test_students"], {"engine": RAY}),
    ],
)
def test_a_step_that_needs_a_cluster_is_refused_without_one(
    steps: list[str], changes: dict[str, Any]
) -> None:
    with pytest.raises(PersynError, match=f"^No Ray cluster answers at cluster.address '{NOBODY}'"):
        check("prepare", *steps, cluster=DEAD, **changes)


@pytest.mark.parametrize(
    ("steps", "changes"),
    [
        (["prepare", "train_router", "sft", "label.answer_calibration_prompts", "generate"], {}),
        (["label.score_quality", "evaluate.check_test_after", "benchmark", "plan"], {}),
        (["generate"], {"label": JUDGED}),
        (["generate"], {"label": JUDGED, "teachers": SAMPLED, "generate": {**BEST, "keep": "all"}}),
        (["label.score_quality"], {"compare_quality": kinds(**JUDGED["quality"])}),
        (["compare_quality.judge_answers"], {"engine": RAY, "label": JUDGED, "compare_quality":
                                             kinds(kind="code", allow_unsandboxed=True)}),
        (["compare_quality.judge_answers", "label.score_quality"], {
            **HOSTED, "engine": RAY, "label": {"quality": {**ASKED, "model": "far"}}}),
        (["generate"], {"engine": RAY, "models": {"a": {"random": "chat"}, "far": FAR},
                        "teachers": {"x": {"model": "far"},
                                     "y": {"model": "far", "system": "Be brief."}}}),
    ],
)  # fmt: skip
def test_a_step_that_needs_none_is_not(steps: list[str], changes: dict[str, Any]) -> None:
    check(*steps, cluster=DEAD, **changes)


def test_auto_is_the_cluster_that_ray_would_connect_to(
    monkeypatch: pytest.MonkeyPatch, listening: str
) -> None:
    from ray._private import services

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    auto = ClusterSettings(address="auto")
    monkeypatch.setattr(services, "find_gcs_addresses", gcs_addresses(set()))
    monkeypatch.setattr(services, "find_bootstrap_address", lambda _: None)
    with pytest.raises(
        PersynError, match=r"'auto': none was started on this machine \(see `ray star"
    ):
        check_reachable(auto)
    monkeypatch.setattr(services, "find_gcs_addresses", gcs_addresses({NOBODY}))  # it has died
    with pytest.raises(PersynError, match="^No Ray cluster answers at cluster.address 'auto': "):
        check_reachable(auto)
    monkeypatch.setattr(services, "find_gcs_addresses", gcs_addresses({listening}))
    monkeypatch.setattr(services, "find_node_ids", lambda: {"one"})
    check_reachable(auto)
    for address in (None, "local"):
        check_reachable(ClusterSettings(address=address))
    monkeypatch.setattr(services, "find_node_ids", set)
    with pytest.raises(
        PersynError, match=f"is not a Ray node, which .*'{listening}' requires. `ray s"
    ):
        check_reachable(ClusterSettings(address=listening))
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(PersynError, match=r"'auto' \(RAY_ADDRESS is 'ray://head:10001'\): Ray Cli"):
        check_reachable(auto)


def gcs_addresses(found: set[str]) -> Any:
    def find() -> set[str]:
        return found

    find.cache_clear = lambda: None  # type: ignore[attr-defined]
    return find


@pytest.mark.parametrize("address", ["ray://head:10001", "http://h:1"])
def test_ray_client_is_refused_in_the_settings(address: str) -> None:
    with pytest.raises(
        PersynError, match=r"^Parameter cluster.address: Ray Client \(ray://\) is n"
    ):
        settings(cluster={"address": address})


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:x", ""])
def test_what_is_no_address_is_refused_in_the_settings(address: str) -> None:
    with pytest.raises(
        PersynError, match=r"^Parameter cluster.address: must be `auto`, `local` or"
    ):
        settings(cluster={"address": address})


def test_nothing_is_looked_for_on_one_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not needs_check(settings())
    monkeypatch.setitem(sys.modules, "ray", None)  # an import would fail
    check("label", "route", "sft")


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    here = lambda work, *args, label: work(*args)  # noqa: E731 - where that is seen
    monkeypatch.setattr(processes, "call_in_child", here)
    two = {"training_processes": 2}
    for step in ("sft", "train_router", "compare"):
        with pytest.raises(
            PersynError, match=r"^cluster\.training_processes is 2, but this machine has 1 GPU"
        ):
            check(step, cluster=two)
    check("label", "train_router", cluster=two, train_router={"kind": "knn", "backbone": "a"})
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    check("sft", "train_router", cluster=two)


def test_training_on_a_cluster_needs_one_and_no_gpus_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    on_nodes = {"training_on": "cluster", "training_processes": 2}
    for step in ("sft", "train_router", "compare"):
        with pytest.raises(PersynError, match="^No Ray cluster answers at cluster.address"):
            check(step, cluster={**DEAD, **on_nodes})
    check("sft", "train_router", cluster={"address": "local", **on_nodes})  # started when it trains
    for kind in ({"kind": "knn"}, {"tuning": "head_only"}):
        check("train_router", cluster={**DEAD, **on_nodes}, train_router={"backbone": "a", **kind})
    alone = "dpo.train_on_preferences", "train_reward_model.train_reward_model"
    check(*alone, cluster={**DEAD, **on_nodes})
    with pytest.raises(
        PersynError, match="^cluster.training_on is cluster, but cluster.address is"
    ):
        check_cluster(ClusterSettings(**on_nodes), EngineSettings())


def test_tied_embeddings_that_do_not_divide_are_refused_once_the_weights_are_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path))
    three = {"training_processes": 3, "sharding": "fsdp"}
    check("sft", cluster=three)
    resolve_models(settings().models, ["a"])
    with pytest.raises(PersynError, match=r"^Model 'a': 260 rows of tied embeddings cannot be di"):
        check("sft", cluster=three)
    check("sft", cluster={**three, "sharding": "none"})
    check("train_router", cluster=three)
    check("sft", cluster={**three, "training_processes": 2})


def test_a_sandbox_is_looked_for_wherever_a_step_that_runs_names_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: Any) -> str:
        return "forbidden"

    monkeypatch.setattr(sandbox, "_tried", fails)
    code: dict[str, Any] = {"kind": "code"}
    compared = {"compare_quality": kinds(**code)}
    assert needs_check(settings(**compared)) and needs_check(settings(label={"quality": code}))
    check("label", "generate", "evaluate", **compared)
    for step, changes in (
        ("compare_quality", compared),
        ("compare_quality", {"label": {"quality": [code, {}]}}),
        ("label", {"label": {"quality": code}}),
        ("evaluate", {"label": {"quality": code}}),
    ):
        with pytest.raises(PersynError, match=r"bubblewrap \(bwrap\) does not work here \(forb"):
            check(step, **changes)
    check("compare_quality", label={"quality": code}, **{
        "compare_quality": kinds(**code, allow_unsandboxed=True)})  # fmt: skip


def test_a_training_s_library_is_asked_before_the_first_step() -> None:
    sft = {"trainer": {"weight_dcay": 0.1}}
    assert not needs_check(settings()) and needs_check(settings(sft=sft))
    check("route", sft=sft)  # trains no student
    with pytest.raises(PersynError, match=r"^Unknown parameter sft\.trainer\.weight_dcay: TRL"):
        check("sft", sft=sft)


def test_vllm_is_asked_about_models_that_it_runs_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(libraries, "run_in_child", lambda _, given, **__: asked.append(given) or [])
    models = {
        "a": {"random": "chat"}, "b": {"random": "base"},
        "s": {"random": "chat", "random_seed": 5, "vllm": {"block_size": 32}},
        "idle": {"random": "chat", "random_seed": 6, "vllm": {"nonsense": 1}},
    }  # fmt: skip
    changes: dict[str, Any] = {"models": models, "student": {"model": "s"}}
    check("generate", **changes)
    check("sft", **changes)
    assert asked == []
    check("evaluate", **changes)
    check("benchmark", **changes)
    assert asked == 2 * [{"models.s.vllm": {"block_size": 32}}]
    check("evaluate", "benchmark", **changes, engine={"name": "transformers"})
    assert len(asked) == 2
    check("generate", engine={"vllm": {"block_size": 16}})
    assert asked[2:] == [{"engine.vllm": {"block_size": 16}}]


@pytest.mark.skipif(not importlib.util.find_spec("vllm"), reason="vLLM is not installed")
def test_vllm_is_asked_before_the_first_step() -> None:
    given = {"vllm": {"kv_cache_dtyp": "fp8"}}
    with pytest.raises(PersynError, match=r"engine\.vllm\.kv_cache_dtyp: .* mean kv_cache_dtype\?"):
        check("generate", engine=given)
