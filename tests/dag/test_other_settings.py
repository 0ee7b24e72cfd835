"""The same DAG by other settings alone: those of the guides, and what base and smoke leave out."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from tests.conftest import Run
from tests.support.catalog import load
from tests.support.guided_project import guided_project, with_the_added_teacher, write_settings

JUDGED = (
    "label.quality.kind=reward_model,label.quality.model=judge,train_router.kind=linear,"
    "label.learnability=mine/signal.py:worst_window"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with guided_project(tmp_path_factory.mktemp("mine")) as run:
        yield run


def table(project: Run, name: str) -> list[dict[str, Any]]:
    return load(project.directory, name, env="mine")  # type: ignore[attr-defined]


def test_quality_and_learnability_are_the_guides_own(project: Run) -> None:
    statistics = {r["response_key"]: r for r in table(project, "token_statistics")}
    texts = {r["response_key"]: r["response"] for r in table(project, "calibration_responses")}
    rewards = table(project, "rewards")
    assert len({row["quality"] for row in rewards}) > 1
    for row in rewards:
        length, own = len(texts[row["response_key"]]), statistics[row["response_key"]]
        assert row["quality"] == pytest.approx(0.1 / (1 + length / 100))  # none of them is right
        ratio = own["sum_rank_100"] / own["sum_logp"]  # the log-likelihood is negative
        assert row["learnability"] == pytest.approx(ratio)


def test_the_teachers_are_the_hubs_and_the_gguf_files(project: Run) -> None:
    weights = {r["teacher"]: r["weights_id"] for r in table(project, "calibration_responses")}
    model = project.settings["models"]["qwen-7b"]  # type: ignore[attr-defined]
    assert set(weights) == {"qwen-7b-steps", "qwen-7b-brief", "packed"}
    assert weights["qwen-7b-brief"] == f"hub:{model['hub']}@{model['revision']}"
    assert weights["packed"].startswith("gguf:")
    engines = {r["engine"] for r in table(project, "calibration_responses")}
    assert engines == {"mine/engine.py:one_by_one"}


def test_the_router_is_the_guides_own(project: Run) -> None:
    router = load(project.directory, "router", env="mine")
    assert json.loads((router / "router.json").read_text())["kind"] == "mine/router.py:WordRouter"
    weights = np.load(router / "weights.npy")
    texts = {r["prompt_id"]: r["prompt"] for r in table(project, "prompts")}
    for row in table(project, "assignments"):
        words = HashingVectorizer(n_features=1024, ngram_range=(1, 2))
        point = words.transform([texts[row["prompt_id"]]]).toarray()[0]
        assert row["scores"] == pytest.approx(weights[:, :-1] @ point + weights[:, -1], abs=1e-5)


STEPS = "--pipelines=label,train_router,route,generate"


@pytest.fixture
def take_out(project: Run) -> Iterator[Callable[[], None]]:
    """Add the guides' teacher to the settings; what is yielded takes it out again."""
    settings, url = project.settings, project.endpoint.url  # type: ignore[attr-defined]
    write_settings(project.directory, with_the_added_teacher(settings, url))  # type: ignore
    yield lambda: write_settings(project.directory, settings)  # type: ignore[attr-defined]
    write_settings(project.directory, settings)  # type: ignore[attr-defined]


def chosen(project: Run) -> dict[str, str]:
    """Return the teacher of each prompt that teachers answer."""
    test = {r["prompt_id"] for r in table(project, "prompts") if r["split"] == "test"}
    rows = table(project, "assignments")
    return {r["prompt_id"]: r["teacher"] for r in rows if r["prompt_id"] not in test}


def test_an_added_teacher_pays_for_its_calibration_alone_and_the_run_says_what_changed(
    project: Run, take_out: Callable[[], None]
) -> None:
    asked = project.endpoint.bodies  # type: ignore[attr-defined]
    before = chosen(project)
    done = project("run", "--env=mine", STEPS)
    now = chosen(project)
    calibration = {r["prompt_id"] for r in table(project, "calibration_set")}
    n = len(calibration)
    calls = {r["teacher"]: r for r in table(project, "calibration_calls")}
    assert {name: row["calls"] for name, row in calls.items() if row["calls"]} == {"hosted": n}
    assert calls["hosted"]["cost"] == pytest.approx(n * (5 * 0.6 + 11 * 0.15) * 1e-6)
    moved = Counter(now[p] for p in now if now[p] != before[p])
    new = Counter(now[p] for p in now if now[p] != before[p] and p not in calibration)
    routed = {r["teacher"]: r["calls"] for r in table(project, "routed_calls")}
    assert {name: count for name, count in routed.items() if count} == new
    assert new["hosted"] and len(asked) == n + new["hosted"]

    told = " ".join(done.stdout.split())
    assert "Running train_router.fit_router: teachers.hosted is new" in told
    assert "The pool of teachers changed: 'hosted' was added." in told
    assert f"{moved.total()} of {len(now)} prompts have a different teacher than before: " in told
    change = load(project.directory, "run_manifest", env="mine")["pool_change"]
    assert [row for row in change["teachers"] if row["teacher"] == "hosted"] == [
        {"teacher": "hosted", "before": 0, "now": moved["hosted"], "calibration_calls": n,
         "routed_calls": new["hosted"]}
    ]  # fmt: skip
    metrics = load(project.directory, "router_metrics", env="mine")
    assert change["router"]["now"]["router"] == metrics["router"]["regret"]

    take_out()
    done = project("run", "--env=mine", STEPS)
    assert "'hosted' was removed." in " ".join(done.stdout.split())
    assert "Running " not in done.stdout and len(asked) == n + new["hosted"]
    assert chosen(project) == before


def test_the_student_without_a_template_is_trained_with_lora_and_carries_one(project: Run) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    student = load(project.directory, "student", env="mine")
    assert AutoTokenizer.from_pretrained(student).chat_template
    assert not list(student.glob("adapter*"))
    AutoModelForCausalLM.from_pretrained(student)
    for row in load(project.directory, "sft_dataset", env="mine"):
        assert row["prompt"][0] == {"role": "system", "content": "You are a careful tutor."}


def test_a_pool_that_changed_since_is_refused(project: Run) -> None:
    done = project(
        "run",
        "--env=mine",
        "--pipelines=route",
        "--params=teachers.packed.system=Be long.",
        check=False,
    )
    assert done.returncode == 1
    assert "pool" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("verification", "asked"), [("drop", 1), ("next_choice", 2)])
def test_wrong_answers_are_left_out_and_each_call_counted(
    project: Run, verification: str, asked: int
) -> None:
    prompts = load(project.directory, "prompts", env="mine")
    routed = sum(row["split"] in ("calibration", "train") for row in prompts)
    project(
        "run",
        "--env=mine",
        "--pipelines=generate",
        f"--params=generate.verification={verification}",
    )
    calls = load(project.directory, "routed_calls", env="mine")
    assert sum(row["responses"] for row in calls) == asked * routed  # random weights solve nothing
    assert load(project.directory, "routed_responses", env="mine") == []


def test_a_student_is_not_trained_on_nothing(project: Run) -> None:
    done = project("run", "--env=mine", "--pipelines=sft", check=False)
    assert done.returncode == 1
    assert (
        "No rows to train on: every response was left out of sft_dataset."
        in done.stderr + done.stdout
    )


def test_prompts_without_references_are_refused_before_a_teacher_is_paid(project: Run) -> None:
    directory: Path = project.directory  # type: ignore[attr-defined]
    rows = [{"question": f"Tell me about {i}.", "answer": None} for i in range(40)]
    (directory / "bare.jsonl").write_text("\n".join(map(json.dumps, rows)))
    store = directory / "data" / "mine" / "stores" / "responses"
    before = sorted(store.rglob("part-*"))
    done = project(
        "run",
        "--env=mine",
        "--pipelines=prepare,label",
        "--params=prepare.source.file=bare.jsonl,label.quality.kind=exact_answer,label.quality.model=",
        check=False,
    )
    assert done.returncode == 1
    assert "No calibration prompt has a reference" in done.stderr + done.stdout
    assert before and sorted(store.rglob("part-*")) == before


@pytest.fixture(scope="module")
def judged(project: Run) -> Run:
    """The project run once more, on prompts without references, by other settings; its last."""
    rows = [{"question": f"Say {i} kind words.", "answer": None} for i in range(30)]
    (project.directory / "bare.jsonl").write_text("\n".join(map(json.dumps, rows)))  # type: ignore
    project.judged = project(  # type: ignore[attr-defined]
        "run", "--env=mine", "--pipelines=prepare,label,train_router,route,compare",
        f"--params=prepare.source.file=bare.jsonl,{JUDGED}",
    )  # fmt: skip
    return project


def test_another_judge_and_another_router_by_a_setting(judged: Run) -> None:
    assert "pool of teachers changed" not in judged.judged.stdout  # type: ignore[attr-defined]
    quality = {row["quality"] for row in table(judged, "quality")}
    assert len(quality) > 4 and not quality <= {0.0, 1.0}
    router = load(judged.directory, "router", env="mine")
    assert json.loads((router / "router.json").read_text())["kind"] == "linear"
    lowest = {r["response_key"]: r["logp"] for r in table(judged, "token_statistics")}
    for row in table(judged, "rewards"):  # answers shorter than the window
        assert row["learnability"] == pytest.approx(
            np.mean(np.float64(lowest[row["response_key"]]))
        )


def test_students_are_compared_by_the_reward_model_where_there_are_no_references(
    judged: Run,
) -> None:
    comparison = load(judged.directory, "strategy_comparison", env="mine")
    assert comparison["measure"] == "reward" and comparison["seeds"] == [1, 2]
    assert set(comparison["strategies"]) == {"persyn", "strong"}  # alpha 0.4 is PerSyn's own
    trials = load(judged.directory, "trials", env="mine")
    assert {row["seed"] for row in trials} == {None, 1, 2}
    own = [row["quality"] for row in trials if row["strategy"] == "persyn"]
    assert comparison["strategies"]["persyn"]["mean"] == pytest.approx(sum(own) / len(own))
    assert "mean reward of the test answers" in " ".join(judged.judged.stdout.split())  # type: ignore[attr-defined]
