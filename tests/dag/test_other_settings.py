"""The same DAG by other settings alone: every choice that the base and smoke runs leave out."""

import json
from pathlib import Path

import pytest

from persyn_kedro.foundations.random_models import make_random_model
from tests.catalog import load
from tests.conftest import Run, make_project

OTHER = """\
seed: 3
models:
  tiny-a: {random: chat, random_seed: 1, dtype: float32, think: keep}
  tiny-b: {random: chat, random_seed: 2, dtype: float32}
  tiny-base: {random: base, random_seed: 3, dtype: float32}
  judge: {local: judge, dtype: float32}
teachers:
  a: {model: tiny-a, system: Be brief., sampling: {max_new_tokens: 6}}
  b: {model: tiny-b, sampling: {max_new_tokens: 6}, price: 2.0}
student: {model: tiny-base, system: You are small.}
engine: {name: transformers, batch_size: 1, max_model_len: 512}
prepare:
  source: {file: prompts.jsonl, prompt_column: question, reference_column: answer}
  calibration_fraction: 0.4
  test_fraction: 0.2
  holdout_fraction: 0.3
  withheld_fraction: 0.3
label:
  allow_truncated: true
  quality: {kind: reward_model, model: judge}
train_router: {kind: linear, backbone: tiny-base, invalid: lose}
sft: {epochs: 1, batch_size: 2, precision: float32, max_length: 512, lora: {rank: 2}}
evaluate: {sampling: {max_new_tokens: 6}}
compare_routers: {kinds: [linear], folds: 2, sizes: [1.0], resamples: 100}
compare: {strategies: [persyn, strong], alphas: [0.4], seeds: [1, 2], resamples: 100}
"""


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
def project(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_project(tmp_path_factory.mktemp("other"))
    directory: Path = run.directory  # type: ignore[attr-defined]
    rows = [{"question": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(30)]
    (directory / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    make_judge(directory / "judge")
    (directory / "conf" / "other").mkdir()
    (directory / "conf" / "other" / "parameters.yml").write_text(OTHER)
    run("run", "--env=other")
    return run


def test_quality_is_the_reward_models_scalar(project: Run) -> None:
    quality = {row["quality"] for row in load(project.directory, "quality", env="other")}
    assert len(quality) > 4 and not quality <= {0.0, 1.0}


def test_the_student_without_a_template_is_trained_with_lora_and_carries_one(project: Run) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    student = load(project.directory, "student", env="other")
    assert AutoTokenizer.from_pretrained(student).chat_template
    assert not list(student.glob("adapter*"))
    AutoModelForCausalLM.from_pretrained(student)
    for row in load(project.directory, "sft_dataset", env="other"):
        assert row["prompt"][0] == {"role": "system", "content": "You are small."}


def test_calls_cost_what_the_settings_say(project: Run) -> None:
    calls = {r["teacher"]: r for r in load(project.directory, "calibration_calls", env="other")}
    assert calls["a"]["cost"] == 0
    assert calls["b"]["cost"] == pytest.approx(2e-6 * calls["b"]["completion_tokens"])


def test_another_router_by_a_setting(project: Run) -> None:
    project(
        "run", "--env=other", "--pipelines=train_router,route", "--params=train_router.kind=knn"
    )
    router = load(project.directory, "router", env="other")
    assert json.loads((router / "router.json").read_text())["kind"] == "knn"


def test_a_pool_that_changed_since_is_refused(project: Run) -> None:
    done = project(
        "run",
        "--env=other",
        "--pipelines=route",
        "--params=teachers.a.system=Be long.",
        check=False,
    )
    assert done.returncode == 1
    assert "pool" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("verification", "asked"), [("drop", 1), ("next_choice", 2)])
def test_wrong_answers_are_left_out_and_each_call_counted(
    project: Run, verification: str, asked: int
) -> None:
    splits = load(project.directory, "splits", env="other")
    routed = sum(row["split"] in ("calibration", "train") for row in splits)
    project(
        "run",
        "--env=other",
        "--pipelines=generate",
        f"--params=generate.verification={verification}",
    )
    calls = load(project.directory, "routed_calls", env="other")
    assert sum(row["responses"] for row in calls) == asked * routed  # random weights solve nothing
    assert load(project.directory, "routed_responses", env="other") == []
    done = project("run", "--env=other", "--pipelines=sft", check=False)
    assert done.returncode == 1
    assert "sft_dataset has no rows" in done.stderr + done.stdout


def test_prompts_without_references_are_refused_before_a_teacher_is_paid(project: Run) -> None:
    directory: Path = project.directory  # type: ignore[attr-defined]
    rows = [{"question": f"Tell me about {i}.", "answer": None} for i in range(20)]
    (directory / "bare.jsonl").write_text("\n".join(map(json.dumps, rows)))
    store = directory / "data" / "stores" / "responses"
    before = sorted(store.rglob("part-*"))
    done = project(
        "run",
        "--env=other",
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
        "run", "--env=other", "--pipelines=prepare,label,train_router,route,compare",
        "--params=prepare.source.file=bare.jsonl",
    )  # fmt: skip
    comparison = load(project.directory, "strategy_comparison", env="other")
    assert comparison["measure"] == "reward" and comparison["seeds"] == [1, 2]
    assert set(comparison["strategies"]) == {"persyn", "strong"}  # alpha 0.4 is PerSyn's own
    trials = load(project.directory, "trials", env="other")
    assert {row["seed"] for row in trials} == {None, 1, 2}
    own = [row["quality"] for row in trials if row["strategy"] == "persyn"]
    assert comparison["strategies"]["persyn"]["mean"] == pytest.approx(sum(own) / len(own))
    assert "mean reward of the test answers" in " ".join(done.stdout.split())
