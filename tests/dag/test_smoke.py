"""The whole DAG through the command line, on tiny random models: what one run makes."""

import json

import pytest

from persyn_kedro.foundations.settings import GROUPS
from persyn_kedro.pipeline_registry import register_pipelines
from tests.conftest import Run
from tests.support.catalog import load, versions
from tests.support.same_data import newest_data

TEACHERS = ["a-brief", "a-steps", "b"]


def test_default_run_writes_every_output_and_prints_the_table(smoke_project: Run) -> None:
    summary = load(smoke_project.directory, "report_summary")
    assert [row["teacher"] for row in summary["teachers"]] == TEACHERS
    page = load(smoke_project.directory, "report")
    assert page.lstrip().lower().startswith("<!doctype html>")
    for text in ("Generate-then-Select", "regret", "test accuracy", "withheld NLL", *TEACHERS):
        assert text in smoke_project.first.stdout
        assert text in page
    outputs = register_pipelines()["__default__"].all_outputs()
    assert outputs <= newest_data(smoke_project.directory).keys()


def test_a_run_into_a_pipe_redraws_nothing_and_sums_up_each_step(smoke_project: Run) -> None:
    written = smoke_project.first.stdout + smoke_project.first.stderr
    assert "\r" not in written and "\x1b" not in written
    lines = [line for line in written.splitlines() if " INFO " in line]
    done = {w[1]: " ".join(w[2:]) for w in (x.partition("INFO")[2].split() for x in lines)
            if w[0] == "Done"}  # fmt: skip
    started = [
        line.partition("Running ")[2].partition(":")[0] for line in lines if "Running " in line
    ]
    assert list(done) == started == [n.name for n in register_pipelines()["__default__"].nodes]
    for step, table in (
        ("label.answer_calibration_prompts", "calibration_calls"),
        ("generate.generate_responses", "routed_calls"),
    ):
        rows = load(smoke_project.directory, table)
        total = {k: sum(row[k] for row in rows) for k in rows[0] if k != "teacher"}
        assert f": {total['calls']} calls (" in done[step]
        assert f", {total['prompt_tokens']:,} prompt tokens, " in done[step]
        assert f" {total['completion_tokens']:,} completion tokens (" in done[step]
        stored = total["responses"] - total["calls"]
        assert (f"{stored} from the store" in done[step]) == bool(stored)
    tokens = load(smoke_project.directory, "token_statistics")
    assert f"{sum(row['tokens'] for row in tokens):,} tokens (" in done["label.score_learnability"]
    for step in ("sft.train_student", "train_router.fit_router"):
        assert " training steps (" in done[step] and " tokens (" in done[step]


def test_calls_on_an_empty_store_follow_the_formula(smoke_project: Run) -> None:
    """METHOD section 4: K n + (N - n) calls, against K N for Generate-then-Select."""
    prompts = load(smoke_project.directory, "prompts")
    n = sum(row["split"] == "calibration" for row in prompts)
    train = sum(row["split"] == "train" for row in prompts)
    calibration = load(smoke_project.directory, "calibration_calls")
    routed = load(smoke_project.directory, "routed_calls")
    assert n > 0 and train > 0
    assert sum(row["calls"] for row in calibration) == len(TEACHERS) * n
    assert sum(row["calls"] for row in routed) == train
    assert sum(row["responses"] for row in routed) == n + train


def test_the_calls_were_estimated_before_and_none_is_planned_after(smoke_project: Run) -> None:
    estimate = load(smoke_project.directory, "estimate")
    made = {
        step: {row["teacher"]: row for row in load(smoke_project.directory, table)}
        for step, table in (("label", "calibration_calls"), ("generate", "routed_calls"))
    }
    for row in estimate:
        if row["step"] == "label":
            assert row["calls"] == made["label"][row["teacher"]]["calls"] > 0
    routed = [row["calls"] for row in estimate if row["step"] == "generate"]
    assert sum(routed) == pytest.approx(sum(r["calls"] for r in made["generate"].values()))
    page = load(smoke_project.directory, "report")
    assert "Estimate against actual" in page
    done = smoke_project("run", "--env=smoke", "--pipelines=plan")
    after = {(r["step"], r["teacher"]): r for r in load(smoke_project.directory, "plan")}
    assert {row["calls"] for (step, _), row in after.items() if step != "evaluate"} == {0}
    for teacher, row in made["generate"].items():  # the router's choice, calibration left out
        assert after["generate", teacher]["responses"] == row["calls"]
    assert after["evaluate", "student before"]["calls"] == 0
    assert "Teacher calls: 0; Generate-then-Select" in done.stdout


def test_each_prompt_is_answered_by_the_teacher_with_the_highest_score(smoke_project: Run) -> None:
    assigned = {r["prompt_id"]: r for r in load(smoke_project.directory, "assignments")}
    for row in assigned.values():
        assert row["teacher"] == TEACHERS[row["scores"].index(max(row["scores"]))]
    for row in load(smoke_project.directory, "sft_dataset"):
        assert row["teacher"] == assigned[row["prompt_id"]]["teacher"]
        assert [m["role"] for m in row["completion"]] == ["assistant"]


def test_test_prompts_are_never_answered_by_a_teacher(smoke_project: Run) -> None:
    prompts = load(smoke_project.directory, "prompts")
    test = {r["prompt_id"] for r in prompts if r["split"] == "test"}
    for table in ("calibration_responses", "routed_responses", "sft_dataset"):
        rows = load(smoke_project.directory, table)
        assert rows and not test & {row["prompt_id"] for row in rows}


def test_each_run_writes_a_manifest(smoke_project: Run) -> None:
    assert "Manifest of this run: " in smoke_project.first.stdout
    first = versions(smoke_project.directory, "run_manifest.json")[0]
    path = smoke_project.directory / "data/smoke/08_reporting/run_manifest.json" / first
    manifest = json.loads((path / "run_manifest.json").read_text())
    assert manifest["status"] == "complete"
    outputs = register_pipelines()["__default__"].all_outputs()
    assert set(manifest["saved"]) == outputs
    assert manifest["loaded"]["assignments"] == manifest["saved"]["assignments"]
    (calls,) = {row["calls"] for row in manifest["teachers"]["label"]}
    assert calls > 0
    assert manifest["packages"]["kedro"] and manifest["parameters"].keys() == {*GROUPS, "seed"}
    assert set(manifest["seconds"]) == {n.name for n in register_pipelines()["__default__"].nodes}
