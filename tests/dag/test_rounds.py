"""Focus and rounds through the command line, on tiny random models."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.conftest import Run
from tests.support.catalog import load

# Tiny random models solve nothing, so no prompt with a reference is at the student's frontier.
ROUNDS = "--params=rounds.count=2,route.focus.sampling.max_new_tokens=8"


@pytest.fixture(scope="module")
def run(smoke_project: Run) -> Run:
    """A project of one round that was told that there are two, and ran both."""
    smoke_project("run", "--env=smoke", ROUNDS)
    smoke_project.second = smoke_project("run", "--env=smoke", "--pipelines=next_round", ROUNDS)  # type: ignore[attr-defined]
    return smoke_project


def table(run: Run, name: str) -> Any:
    return load(run.directory, name)  # type: ignore[attr-defined]


def ids(rows: list[dict[str, Any]], **where: str) -> set[str]:
    return {r["prompt_id"] for r in rows if all(r[k] == v for k, v in where.items())}


def test_each_round_trains_on_its_own_prompts(run: Run) -> None:
    prompts, first, second = (
        table(run, name) for name in ("prompts", "sft_dataset", "round_2.sft_dataset")
    )
    train, calibration = (ids(prompts, split=split) for split in ("train", "calibration"))
    assert calibration <= ids(first) and not ids(first) & ids(second)
    assert ids(second) and ids(first) | ids(second) == train | calibration
    focus = table(run, "round_2.focus")
    assert Counter(row["why"] for row in focus) == {
        "kept": len(ids(second)), "earlier_round": len(ids(first))
    }  # fmt: skip


def test_the_second_round_scores_with_the_first_one_s_student_and_pays_for_no_label(
    run: Run,
) -> None:
    before, now = (table(run, name) for name in ("token_statistics", "round_2.token_statistics"))
    keys = [[row["response_key"] for row in rows] for rows in (before, now)]
    assert keys[0] == keys[1] and before != now
    answered = len(ids(table(run, "round_2.routed_responses")))
    summary = table(run, "round_2.round_summary")
    assert summary["focus"]["kept"] == answered and len(summary["rounds"]) == 2
    calls = table(run, "round_2.routed_calls")
    # when all prompts were of one round they were answered, and the store has these answers
    assert sum(row["responses"] for row in calls) == answered
    assert sum(row["calls"] for row in calls) < answered
    said = run.second.stdout  # type: ignore[attr-defined]
    assert "Round 2" in said and "calibration prompts, " in said
    assert "a-brief: generating" not in said.split("round_2.generate")[0]


def test_run_again_all_is_skipped(run: Run) -> None:
    done = run("run", "--env=smoke", "--pipelines=next_round", ROUNDS)
    assert (
        "Running round_2" not in done.stdout and "Skipped round_2.sft.train_student" in done.stdout
    )


def test_one_round_has_no_next(run: Run) -> None:
    done = run("run", "--env=smoke", "--pipelines=next_round", check=False)
    assert "rounds.count is 1, so there is no next round: set it to 2 or more" in done.stderr


def test_what_was_left_out_is_explained(run: Run) -> None:
    prompt_id = next(iter(ids(table(run, "focus"), why="later_round")))
    done = run("trace", prompt_id, "--env=smoke", check=False)
    assert f"Prompt {prompt_id} has no training row. It gets no answer yet: a later" in done.stderr
    found = json.loads(run("explain", prompt_id, "--env=smoke", "--json", "--neighbours=0").stdout)
    assert "It gets no answer yet: a later round uses it." in found["notes"]


def test_a_row_of_the_second_round_is_traced_to_its_own_router(run: Run) -> None:
    row = table(run, "round_2.sft_dataset")[0]
    found = json.loads(run("trace", row["prompt_id"], "--env=smoke", "--round=2").stdout)
    assert found["router"]["choice"] == row["teacher"] and found["focus"] == "It gets an answer."
    assert {"round_2.router", "student", "focus", "prompts"} <= found["versions"].keys()


def test_a_choice_of_the_second_round_is_explained_by_its_own_router(run: Run) -> None:
    row = table(run, "round_2.sft_dataset")[0]
    assert row["prompt_id"] not in ids(table(run, "sft_dataset"))
    asked = ("explain", row["prompt_id"], "--env=smoke", "--json", "--neighbours=0")
    found = json.loads(run(*asked, "--round=2").stdout)
    scores = {r["prompt_id"]: r["scores"] for r in table(run, "round_2.assignments")}
    assert found["choice"] == row["teacher"] and found["routed"]
    assert sorted(t["score"] for t in found["teachers"]) == sorted(scores[row["prompt_id"]])
    assert {"round_2.router", "round_2.rewards", "student"} <= found["versions"].keys()
    assert "It gets an answer." in found["notes"]
    first = json.loads(run(*asked).stdout)
    assert "round_2.router" not in first["versions"]
    assert "It gets no answer yet: a later round uses it." in first["notes"]
    assert "No round_3.router yet: run `kedro run --pipelines=next_round`" in (
        run(*asked, "--round=3", check=False).stderr
    )


def test_the_student_is_asked_once_and_what_it_is_asked_is_planned(run: Run) -> None:
    focus = f"{ROUNDS},route.focus.keep=frontier,route.focus.samples=2"
    done = run("run", "--env=smoke", "--pipelines=route", focus)
    assert "Skipped route.route_prompts" in done.stdout
    assert "tiny-student: generating" in done.stdout
    rows = table(run, "focus")
    asked = [row for row in rows if row["answers"] is not None]
    assert asked and all(row["answers"] == 2 and row["pass_rate"] == 0 for row in asked)
    assert {row["why"] for row in asked} == {"off_frontier"}
    again = run("run", "--env=smoke", "--pipelines=route", focus, "--redo")
    assert "tiny-student: generating" not in again.stdout
    plan = run("run", "--env=smoke", "--pipelines=plan", focus).stdout
    assert f"{len(asked)} are not at the student's frontier" in " ".join(plan.split())
