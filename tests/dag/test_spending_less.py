"""The guide docs/guides/spending_less.md, through the command line on tiny random models."""

import shlex
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from persyn_kedro.domain.routers import weighed_by
from tests.conftest import Run
from tests.support import guides
from tests.support.catalog import load, versions

(GUIDE,) = (guide for guide in guides.GUIDES if guide.stem == "spending_less")
COMMANDS = [shlex.split(x)[1:] for b in guides.blocks(GUIDE, "sh") for x in b.splitlines()]


def write_route(run: Run, route: dict[str, Any]) -> None:
    """Have the environment ``mine`` be the smoke one with these settings of ``route``."""
    conf = Path(run.directory) / "conf"  # type: ignore[attr-defined]
    (conf / "mine").mkdir(exist_ok=True)
    (conf / "mine" / "globals.yml").write_text((conf / "smoke" / "globals.yml").read_text())
    settings = yaml.safe_load((conf / "smoke" / "parameters.yml").read_text())
    settings["route"].update(route)
    (conf / "mine" / "parameters.yml").write_text(yaml.safe_dump(settings, sort_keys=False))


@pytest.fixture(scope="module")
def traced(smoke_project: Run) -> Run:
    """The smoke project with the paper's routing, after the guide's first commands."""
    write_route(smoke_project, {})
    for command in COMMANDS[:2]:
        smoke_project.done = smoke_project(*command)  # type: ignore[attr-defined]
    return smoke_project


def test_the_frontier_asks_no_teacher_and_redoes_no_step(traced: Run) -> None:
    assert len(versions(traced.directory, "assignments.parquet")) == 1  # type: ignore[attr-defined]
    rows = load(traced.directory, "frontier")  # type: ignore[attr-defined]
    names = [row["name"] for row in rows if row["policy"] in ("teacher", "random")]
    assert names == ["a-brief", "a-steps", "b", "random"]
    assert sum(row["kept"] for row in rows) == 1
    assert "completion tokens" in traced.done.stdout  # type: ignore[attr-defined]
    assert not load(traced.directory, "run_manifest")["teachers"]  # type: ignore[attr-defined]


def test_the_report_embeds_it_when_evaluate_runs_next(traced: Run) -> None:
    assert "Reward against cost" not in load(traced.directory, "report")  # type: ignore[attr-defined]
    done = traced("run", "--env=mine", "--pipelines=evaluate")
    assert "frontier_before changed" in done.stdout + done.stderr
    assert "Reward against cost" in load(traced.directory, "report")  # type: ignore[attr-defined]


def test_the_guides_settings_decide_the_routing(traced: Run) -> None:
    route = guides.settings("spending_less")["route"]
    route["capacity"] = {"b": route["capacity"]["careful"]}
    write_route(traced, route)
    plan = traced(*COMMANDS[2])
    assert "other settings of route.objective, budget or capacity" in " ".join(plan.stdout.split())
    traced("run", "--env=mine", "--pipelines=route")
    files = Path(traced.directory).glob("data/smoke/*/assignments.parquet/*/*.parquet")  # type: ignore[attr-defined]
    table = pq.read_table(max(files))
    note = weighed_by(table.schema)
    assert note is not None and note["capacity"] == {"b": 0.25} and note["scale"] > 0
    answered = {
        row["prompt_id"]
        for row in load(traced.directory, "prompts")  # type: ignore[attr-defined]
        if row["split"] != "test"
    }
    own = [row for row in table.to_pylist() if row["prompt_id"] in answered]
    assert sum(row["teacher"] == "b" for row in own) <= 0.25 * len(own)
    names = ["a-brief", "a-steps", "b"]
    assert all(row["teacher"] == names[row["scores"].index(max(row["scores"]))] for row in own)
    manifest = load(traced.directory, "run_manifest")  # type: ignore[attr-defined]
    assert manifest["route"]["capacity"] == {"b": 0.25}
    told = traced("explain", "--env=mine", own[0]["prompt_id"], "--neighbours=0").stdout
    assert "expected tokens" in told and f"Choice: {own[0]['teacher']}" in told


def test_a_budget_that_is_too_small_is_refused_with_what_is_needed(traced: Run) -> None:
    write_route(traced, {"budget": {"max_tokens": 1}})
    done = traced("run", "--env=mine", "--pipelines=route", check=False)
    assert done.returncode == 1
    assert "route.budget.max_tokens is 1, but the cheapest" in " ".join(done.stderr.split())
