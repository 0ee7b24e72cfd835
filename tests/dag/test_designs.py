"""Incomplete designs through the whole DAG, on tiny random models: what is missing is missing."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Run, make_project
from tests.support.catalog import load

# Of a dozen prompts: nobody is surely the worst, and every answer may be worth its price.
SETTINGS = {
    "groups": 4, "batch": 1.0, "reward_worth": 1e6, "shrinkage": 0.01, "confidence": 0.9999999999
}  # fmt: skip


def write_settings(directory: Path, design: Any) -> None:
    smoke = yaml.safe_load((directory / "conf/smoke/parameters.yml").read_text())
    smoke["label"] |= {"normalise": "pool_z", "design": design}
    smoke["train_router"] = {"kind": "knn", "backbone": "tiny-student", "neighbours": 3}
    smoke["compare_routers"] = {"kinds": ["knn", "linear"], "folds": 2, "sizes": [1.0]}
    strategies = ["persyn", "strong", "mix", "car", "random", "oracle"]
    smoke["compare"] = {**smoke["compare"], "strategies": strategies, "alphas": [1.0]}
    (directory / "conf/mine").mkdir(exist_ok=True)
    (directory / "conf/mine/parameters.yml").write_text(yaml.safe_dump(smoke, sort_keys=False))
    (directory / "conf/mine/globals.yml").write_text("data: data/mine\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp("designs")
    run = make_project(directory)
    write_settings(directory, {"adaptive": SETTINGS})
    run("run", "--env=mine")
    yield run


def table(run: Run, name: str) -> Any:
    return load(run.directory, name, "mine")  # type: ignore[attr-defined]


def parts(run: Run) -> dict[str, str]:
    rows = table(run, "prompts")
    return {r["prompt_id"]: r["part"] for r in rows if r["split"] == "calibration"}


def test_an_adaptive_design_asks_some_and_the_report_says_whom(run: Run) -> None:
    rewards, part = table(run, "rewards"), parts(run)
    asked = Counter(row["prompt_id"] for row in rewards)
    assert set(asked) == set(part) and set(asked.values()) <= {2, 3}
    held_out = {asked[p] for p, own in part.items() if own == "holdout"}
    assert held_out == {2}  # at random: the router is measured on them
    assert sum(asked.values()) > 2 * len(part)  # so it asked more than the first batch
    summary = table(run, "report_summary")
    calls = sum(row["calibration_responses"] for row in summary["teachers"])
    assert calls == sum(asked.values()) == len(rewards)
    notes = " ".join(summary["notes"])
    assert f"Calibration asked {calls} of {3 * len(part)} pairs of prompt and teacher" in notes
    assert summary["router"]["router"].keys() >= {"hit@1", "regret", "reward"}
    routed = {row["prompt_id"]: row["teacher"] for row in table(run, "assignments")}
    new = sum((p, routed[p]) not in {(r["prompt_id"], r["teacher"]) for r in rewards} for p in part)
    train = sum(row["split"] == "train" for row in table(run, "prompts"))
    assert summary["calls"]["on_an_empty_store"] == calls + train + new
    assert summary["calls"]["made"] == calls + train + new


def test_everything_beside_it_takes_missing_answers_as_missing(run: Run) -> None:
    run("run", "--env=mine", "--pipelines=compare_routers,compare,plan")
    compared = table(run, "router_comparison")
    assert {"knn", "linear", "constant", "random", "oracle"} <= compared["routers"].keys()
    assert "reward" in compared["routers"]["knn"]
    assert {row["strategy"] for row in table(run, "strategy_tokens")} >= {"car", "oracle"}
    summary = table(run, "plan_summary")
    assert summary["now"]["calls"] == 0  # all that it counts is in the store by now
    assert any("adaptive" in note for note in summary["notes"])
    prompt_id = table(run, "rewards")[0]["prompt_id"]
    told = run("explain", prompt_id, "--env=mine", "--neighbours=2")
    assert "Choice: " in told.stdout


def test_a_balanced_design_takes_what_is_there_and_asks_no_more(run: Run) -> None:
    directory = run.directory  # type: ignore[attr-defined]
    write_settings(directory, {"teachers_per_prompt": 2})
    run("run", "--env=mine", "--pipelines=label,train_router,route")
    rewards = table(run, "rewards")
    assert set(Counter(row["prompt_id"] for row in rewards).values()) == {2}
    counts = Counter(row["teacher"] for row in rewards)
    assert max(counts.values()) - min(counts.values()) <= 1
    calls = table(run, "calibration_calls")
    assert [row["calls"] for row in calls] == [0, 0, 0]  # the adaptive one's first are the same
    found = table(run, "router_metrics")
    assert found["router"]["reward"] is not None


def test_a_scale_within_the_prompt_is_refused_before_any_call(run: Run) -> None:
    path = run.directory / "conf/mine/parameters.yml"  # type: ignore[attr-defined]
    settings = yaml.safe_load(path.read_text())
    settings["label"]["normalise"] = "prompt_minmax"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    refused = run("run", "--env=mine", "--pipelines=label", check=False)
    assert refused.returncode == 1
    told = " ".join((refused.stdout + refused.stderr).split())
    assert "so label.normalise must be pool_z or pool_rank, not prompt_minmax" in told
