"""The same DAG by other settings alone: those of the guides, and what base and smoke leave out."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.feature_extraction.text import HashingVectorizer

from persyn_kedro.foundations.random_models import make_random_model
from tests import guides
from tests.catalog import load
from tests.conftest import Run, make_project
from tests.endpoint import serve
from tests.hosted_teachers import KEY
from tests.tiny_gguf import write_tiny_gguf

TINY = {"dtype": "float32"}
OVERLAY: dict[str, Any] = {  # over the guides' settings: small enough for a test
    "seed": 3,
    "evaluate": {"sampling": {"max_new_tokens": 6}},
    "compare": {
        "strategies": ["persyn", "strong"], "alphas": [0.4], "seeds": [1, 2], "resamples": 100,
    },
}  # fmt: skip
# The server of the tests says what it is asked, so of these it solves two in three.
QUESTIONS = ["What is {0} + 1?", "Say {1}, please.", "After {0}, say {1}."]
JUDGED = "label.quality.kind=reward_model,label.quality.model=judge,train_router.kind=linear"


def guided_settings() -> dict[str, Any]:
    """Return the settings of all guides in one pool, but for the teacher that is added later."""
    found: dict[str, Any] = {"models": {}, "teachers": {}, "label": {}}
    for guide in ("own_prompts", "own_student", "hub_teacher", "gguf_teacher"):
        own = guides.settings(guide)
        pooled = {name: {**found[name], **own.pop(name, {})} for name in ("models", "teachers")}
        found = {**found, **own, **pooled}
    for guide in ("own_quality", "own_signal"):
        found["label"].update(guides.settings(guide)["label"])
    found["engine"] = guides.settings("own_engine")["engine"]
    found["train_router"] = guides.settings("own_router")["train_router"]
    found["compare_routers"] = guides.settings("own_router", 1)["compare_routers"]
    found = {**found, **OVERLAY}
    found["prepare"].update(calibration_fraction=0.4, holdout_fraction=0.3, withheld_fraction=0.3)
    found["label"]["allow_truncated"] = True
    found["compare_routers"].update(folds=2, resamples=100)
    zoo = {name for name, model in found["models"].items() if "zoo" in model}
    found["models"].update({name: {"random": "base", **TINY} for name in zoo})
    found["models"]["packed"]["think"] = "keep"
    found["models"]["judge"] = {"local": "judge", **TINY}
    found["teachers"] = small({n: t for n, t in found["teachers"].items() if t["model"] not in zoo})
    return found


def small(teachers: dict[str, Any]) -> dict[str, Any]:
    """Return the teachers with short answers."""
    return {
        name: {**teacher, "sampling": {**teacher["sampling"], "max_new_tokens": 6}}
        for name, teacher in teachers.items()
    }


def with_the_added_teacher(settings: dict[str, Any], url: str) -> dict[str, Any]:
    """Return the settings with the teacher of two guides, on the tests' own server."""
    added = guides.settings("adding_a_teacher")
    hosted = guides.settings("openai_teacher")
    assert added["models"]["hosted"]["revision"] == hosted["models"]["hosted"]["revision"]
    endpoint = {**hosted["models"]["hosted"]["endpoint"], "url": url}
    model = {**hosted["models"]["hosted"], "endpoint": endpoint}
    teacher = {**added["teachers"]["hosted"], **hosted["teachers"]["hosted"]}
    return {
        **settings,
        "models": {**settings["models"], "hosted": model},
        "teachers": {**settings["teachers"], "hosted": teacher},
    }


def make_hub_cache(directory: Path, model: dict[str, str]) -> None:
    """Write a model to where the hub's client would have put it."""
    repository = directory / "hub" / f"models--{model['hub'].replace('/', '--')}"
    make_random_model(repository / "snapshots" / model["revision"], "chat", 1)


def table(project: Run, name: str) -> list[dict[str, Any]]:
    return load(project.directory, name, env="mine")  # type: ignore[attr-defined]


def write_settings(directory: Path, settings: dict[str, Any]) -> None:
    (directory / "conf" / "mine").mkdir(exist_ok=True)
    (directory / "conf" / "mine" / "parameters.yml").write_text(
        yaml.safe_dump(settings, sort_keys=False)
    )


def make_judge(directory: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    make_random_model(directory, "chat", 9)
    judge = AutoModelForSequenceClassification.from_pretrained(
        directory, num_labels=1, dtype=torch.float32
    )
    judge.score.weight.data.normal_(generator=torch.Generator().manual_seed(0))
    judge.save_pretrained(directory)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A project with the guides' files and settings, run once."""
    directory = tmp_path_factory.mktemp("mine")
    settings = guided_settings()
    with pytest.MonkeyPatch.context() as patch, serve() as endpoint:
        patch.setenv("HF_HOME", str(directory / "hf"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("PERSYN_CACHE", str(directory / "cache"))  # the GGUF file is converted here
        patch.setenv("MY_KEY", KEY)
        run = make_project(directory)
        rows = [{"question": QUESTIONS[i % 3].format(i, i + 1), "answer": str(i + 1)}
                for i in range(42)]  # fmt: skip
        rows += [row for guide in guides.GUIDES for row in guides.rows(guide)]
        file = directory / settings["prepare"]["source"]["file"]
        file.write_text("\n".join(map(json.dumps, rows)))
        guides.write_files(directory)
        make_hub_cache(directory / "hf", settings["models"]["qwen-7b"])
        make_random_model(directory / settings["models"]["my-student"]["local"], "base", 3)
        write_tiny_gguf(directory / settings["models"]["packed"]["gguf"])
        make_judge(directory / "judge")
        write_settings(directory, settings)
        run.settings, run.endpoint = settings, endpoint  # type: ignore[attr-defined]
        run("run", "--env=mine")
        yield run


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
    test = {r["prompt_id"] for r in table(project, "splits") if r["split"] == "test"}
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
    assert "Doing train_router.fit_router: teachers.hosted is new" in told
    assert "The pool of teachers changed: 'hosted' was added." in told
    assert f"{moved.total()} of {len(now)} prompts have another teacher than before: " in told
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
    assert "Doing " not in done.stdout and len(asked) == n + new["hosted"]
    assert chosen(project) == before


def test_another_judge_and_another_router_by_a_setting(project: Run) -> None:
    done = project(
        "run", "--env=mine", "--pipelines=label,train_router,route",
        f"--params={JUDGED},label.learnability=mine/signal.py:worst_window",
    )  # fmt: skip
    assert "pool of teachers changed" not in done.stdout
    quality = {row["quality"] for row in table(project, "quality")}
    assert len(quality) > 4 and not quality <= {0.0, 1.0}
    router = load(project.directory, "router", env="mine")
    assert json.loads((router / "router.json").read_text())["kind"] == "linear"
    lowest = {r["response_key"]: r["logp"] for r in table(project, "token_statistics")}
    for row in table(project, "rewards"):  # answers shorter than the window
        assert row["learnability"] == pytest.approx(
            np.mean(np.float64(lowest[row["response_key"]]))
        )


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
    splits = load(project.directory, "splits", env="mine")
    routed = sum(row["split"] in ("calibration", "train") for row in splits)
    project(
        "run",
        "--env=mine",
        "--pipelines=generate",
        f"--params=generate.verification={verification}",
    )
    calls = load(project.directory, "routed_calls", env="mine")
    assert sum(row["responses"] for row in calls) == asked * routed  # random weights solve nothing
    assert load(project.directory, "routed_responses", env="mine") == []
    done = project("run", "--env=mine", "--pipelines=sft", check=False)
    assert done.returncode == 1
    assert "sft_dataset has no rows" in done.stderr + done.stdout


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


def test_students_are_compared_by_the_reward_model_where_there_are_no_references(
    project: Run,
) -> None:
    rows = [{"question": f"Say {i} kind words.", "answer": None} for i in range(30)]
    (project.directory / "bare.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = project(
        "run", "--env=mine", "--pipelines=prepare,label,train_router,route,compare",
        f"--params=prepare.source.file=bare.jsonl,{JUDGED}",
    )  # fmt: skip
    comparison = load(project.directory, "strategy_comparison", env="mine")
    assert comparison["measure"] == "reward" and comparison["seeds"] == [1, 2]
    assert set(comparison["strategies"]) == {"persyn", "strong"}  # alpha 0.4 is PerSyn's own
    trials = load(project.directory, "trials", env="mine")
    assert {row["seed"] for row in trials} == {None, 1, 2}
    own = [row["quality"] for row in trials if row["strategy"] == "persyn"]
    assert comparison["strategies"]["persyn"]["mean"] == pytest.approx(sum(own) / len(own))
    assert "mean reward of the test answers" in " ".join(done.stdout.split())
