"""A language model as judge, hosted, and beside tests of code, through the commands."""

import json
from typing import Any

import pytest
import yaml

from tests.conftest import Run
from tests.support.catalog import load, versions
from tests.support.endpoint import Endpoint
from tests.support.scripted_judge import answers_of


def say(prompt: str) -> str:
    """Score an answer by its length, so that scores differ; some replies are no verdict."""
    (answer,) = answers_of(prompt)
    score = 1 + len(answer) % 5
    return "I cannot say." if score == 5 else json.dumps({"reason": "so", "score": score})


@pytest.fixture(scope="module")
def judged(smoke_project: Run) -> Run:
    """Let a server judge; its settings are beside the smoke environment's."""
    path = smoke_project.directory / "conf/smoke/parameters.yml"  # type: ignore[attr-defined]
    settings = yaml.safe_load(path.read_text())
    settings["label"]["quality"] = {"kind": "judge", "model": "referee", "price": 1e6,
                                    "rubric": "instruction_following"}  # fmt: skip
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return smoke_project


def at(run: Run, endpoint: Endpoint) -> None:
    path = run.directory / "conf/smoke/parameters.yml"  # type: ignore[attr-defined]
    settings = yaml.safe_load(path.read_text())
    source = {"url": endpoint.url, "model": "m", "api_key_env": "TEST_KEY"}
    settings["models"]["referee"] = {"endpoint": source}
    path.write_text(yaml.safe_dump(settings, sort_keys=False))


def test_a_hosted_judge_is_planned_asked_once_counted_and_reported(
    judged: Run, endpoint: Endpoint
) -> None:
    directory: Any = judged.directory  # type: ignore[attr-defined]
    endpoint.say = say
    at(judged, endpoint)
    refused = judged("run", "--env=smoke", "--pipelines=label", check=False)
    assert "Model 'referee' needs an API key" in refused.stdout + refused.stderr
    plan = judged("run", "--env=smoke", "--pipelines=plan").stdout
    assert "The judge's" in plan and "calls come on top of the teachers'" in plan
    (row,) = [r for r in load(directory, "plan") if r["teacher"] == "the judge"]
    assert not endpoint.bodies
    judged("run", "--env=smoke", "--pipelines=label", TEST_KEY="k")
    assert len(endpoint.bodies) == row["calls"] > 0
    texts = {r["response_key"]: r["response"] for r in load(directory, "calibration_responses")}
    quality = load(directory, "quality")
    for found in quality:
        score = 1 + len(texts[found["response_key"]]) % 5
        assert found["quality"] == (None if score == 5 else score)
    manifest = load(directory, "run_manifest")["teachers"]
    (spent,) = [row for row in manifest["label"] if row["teacher"] == "the judge"]
    assert spent["calls"] == len(endpoint.bodies)
    assert spent["cost"] == 5 * spent["calls"]
    before = versions(directory, "quality.parquet")
    judged("run", "--env=smoke", "--pipelines=label", TEST_KEY="k")  # skipped
    assert versions(directory, "quality.parquet") == before
    (row,) = [r for r in load(directory, "estimate") if r["teacher"] == "the judge"]
    assert row["step"] == "label"


def test_a_run_with_terms_of_code_references_and_a_judge(judged: Run, endpoint: Endpoint) -> None:
    """Programming prompts; the tests of one do not compile. The answers are random: no test passes.

    The sandbox has its own tests; this runs where there is none, too.
    """
    directory: Any = judged.directory  # type: ignore[attr-defined]
    rows = [
        {"prompt": f"Write double(x), {n}.", "reference": f"{n % 2}",
         "tests": ["assert double(" if n == 7 else f"assert double({n}) == {2 * n}"]}
        for n in range(48)
    ]  # fmt: skip
    (directory / "code.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = directory / "conf/smoke/parameters.yml"
    settings = yaml.safe_load(path.read_text())
    judge = {"kind": "judge", "model": "referee", "price": 1e6, "rubric": "instruction_following"}
    settings["prepare"]["source"] = {"file": "code.jsonl"}
    settings["label"]["quality"] = [
        {"kind": "code", "weight": 2, "allow_unsandboxed": True}, {"kind": "exact_answer"}, judge,
    ]  # fmt: skip
    settings["train_router"] = {"kind": "knn", "backbone": "tiny-student"}
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    endpoint.say = say
    at(judged, endpoint)
    told = judged("run", "--env=smoke", TEST_KEY="k").stdout
    found: dict[str, set[Any]] = {}
    broken = {r["prompt_id"] for r in load(directory, "prompts") if r["prompt"].endswith(" 7.")}
    for row in load(directory, "quality_terms"):
        of_broken = row["term"] == "code" and row["prompt_id"] in broken
        found.setdefault("broken" if of_broken else row["term"], set()).add(row["quality"])
    assert found["code"] == {0.0} and found["exact_answer"] <= {0.0, 1.0}
    assert found.get("broken", {None}) == {None}
    assert found["judge referee"] - {None} <= {1.0, 2.0, 3.0, 4.0}
    summary = load(directory, "report_summary")
    lines = {term["term"]: term for term in summary["quality_terms"]}
    assert list(lines) == ["code", "exact_answer", "judge referee"]
    assert lines["code"]["weight"] == 2 and {*lines["code"]["means"].values()} == {0.0}
    (note,) = [n for n in summary["notes"] if n.startswith("Quality is what the judge referee")]
    (constant,) = [n for n in summary["notes"] if "always answers the same" in n]
    assert "with a reference, 6 have '0' and 4 have '1': " in constant
    assert note in " ".join(told.split())
    (judged_row,) = [r for r in summary["estimate"] if r["teacher"] == "the judge"]
    assert 0 < judged_row["actual_calls"] == len(endpoint.bodies)
    assert judged_row["actual_calls"] <= judged_row["calls"]  # equal answers are judged once
    assert judged_row["actual_cost"] == 5 * judged_row["actual_calls"]
    page = load(directory, "report")
    assert (
        all(f"<td>{term}</td>" in page for term in lines) and "all replies that the labels" in page
    )
