"""The guide's several answers to a prompt through the whole DAG, on tiny random models."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import yaml

from tests.conftest import Run, make_project
from tests.support import guides
from tests.support.catalog import load

SAMPLES = {"a-brief": 3, "a-steps": 2, "b": 1}


def write_settings(directory: Path) -> None:
    """Write the smoke settings with the guide's rules for labelling and generating."""
    guide = guides.settings("several_samples")
    smoke = yaml.safe_load((directory / "conf/smoke/parameters.yml").read_text())
    for teacher, samples in SAMPLES.items():
        smoke["teachers"][teacher]["samples"] = samples
        smoke["teachers"][teacher]["sampling"]["temperature"] = 1.0
    smoke["label"] |= guide["label"]
    smoke["generate"] = {**guide["generate"], "samples": 2, "keep": "all", "verification": "keep"}
    smoke["compare_routers"] = {"kinds": ["knn"], "folds": 2, "sizes": [1.0], "resamples": 100}
    smoke["compare"] = {**smoke["compare"], "strategies": ["persyn", "strong"], "alphas": []}
    (directory / "conf/mine").mkdir()
    (directory / "conf/mine/parameters.yml").write_text(yaml.safe_dump(smoke, sort_keys=False))
    (directory / "conf/mine/globals.yml").write_text("data: data/mine\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp("samples")
    run = make_project(directory)
    write_settings(directory)
    run("run", "--env=mine")
    yield run


def table(run: Run, name: str) -> list[dict[str, Any]]:
    return load(run.directory, name, "mine")  # type: ignore[attr-defined]


def change(run: Run, **generate: Any) -> None:
    path = run.directory / "conf/mine/parameters.yml"  # type: ignore[attr-defined]
    settings = yaml.safe_load(path.read_text())
    settings["generate"] |= generate
    path.write_text(yaml.safe_dump(settings, sort_keys=False))


def calls(rows: list[dict[str, Any]]) -> int:
    return sum(row["calls"] for row in rows)


def test_every_sample_is_asked_for_scored_and_judged(run: Run) -> None:
    n = sum(row["split"] == "calibration" for row in table(run, "prompts"))
    answers = table(run, "calibration_responses")
    assert Counter(row["teacher"] for row in answers) == {t: s * n for t, s in SAMPLES.items()}
    assert len({row["response_key"] for row in answers}) == len(answers) == 6 * n
    assert calls(table(run, "calibration_calls")) == 6 * n
    for name in ("token_statistics", "quality"):
        found = {(r["prompt_id"], r["teacher"], r["sample_index"]) for r in table(run, name)}
        assert len(found) == 6 * n


def test_rewards_are_one_row_a_teacher_with_the_means(run: Run) -> None:
    rewards = table(run, "rewards")
    quality = {row["response_key"]: row for row in table(run, "quality")}
    statistics = table(run, "token_statistics")
    assert len(rewards) == 3 * len({row["prompt_id"] for row in rewards})
    for row in rewards:
        own = [
            s for s in statistics
            if (s["prompt_id"], s["teacher"]) == (row["prompt_id"], row["teacher"]) and s["tokens"]
        ]  # fmt: skip
        if row["valid"]:
            assert row["valid_samples"] == len(own)
            likelihoods = [s["sum_logp"] / s["tokens"] for s in own]
            assert row["learnability"] == pytest.approx(mean(likelihoods))
            assert row["response_key"] in {s["response_key"] for s in own}
            assert quality[row["response_key"]]["sample_index"] == row["sample_index"]


def test_the_calls_are_those_of_the_formula(run: Run) -> None:
    prompts, chosen = table(run, "prompts"), {}
    for row in table(run, "assignments"):
        chosen[row["prompt_id"]] = row["teacher"]
    calibration = [p["prompt_id"] for p in prompts if p["split"] == "calibration"]
    train = sum(p["split"] == "train" for p in prompts)
    lacking = sum(max(0, 2 - SAMPLES[chosen[p]]) for p in calibration)
    assert calls(table(run, "routed_calls")) == 2 * train + lacking
    done = run("run", "--env=mine", "--pipelines=plan")
    assert "Teacher calls: 0;" in " ".join(done.stdout.split())
    (file,) = (run.directory / "data/mine").rglob("report_summary.json/*/report_summary.json")  # type: ignore
    summary = json.loads(file.read_text())
    total = 6 * len(calibration) + 2 * train + lacking
    assert summary["calls"]["on_an_empty_store"] == summary["calls"]["made"] == total
    assert summary["calls"]["generate_then_select"] == 6 * (len(calibration) + train)
    assert summary["samples"]["teachers"] == SAMPLES
    noise = summary["samples"]["noise"]
    assert noise is None or noise["share"] is None or 0 <= noise["share"] <= 1


def test_all_answers_of_a_prompt_are_trained_on_the_best_of_labelling_first(run: Run) -> None:
    routed, best = table(run, "routed_responses"), {}
    for row in table(run, "rewards"):
        best[row["prompt_id"], row["teacher"]] = row["response_key"]
    assert Counter(Counter(row["prompt_id"] for row in routed).values()).keys() == {2}
    first: dict[str, Any] = {}
    for row in routed:
        first.setdefault(row["prompt_id"], row)
    labelled = [row for row in first.values() if (row["prompt_id"], row["teacher"]) in best]
    assert labelled
    assert all(r["response_key"] == best[r["prompt_id"], r["teacher"]] for r in labelled)
    rows = table(run, "sft_dataset")
    usable = {r["response_key"] for r in routed if r["response"].strip()}
    assert {row["response_key"] for row in rows} <= usable and len(rows) > len(first)


def test_trace_explain_report_and_card_show_the_samples(run: Run) -> None:
    counts = Counter(row["prompt_id"] for row in table(run, "sft_dataset"))
    prompt_id = next(p for p, count in counts.items() if count == 2)
    done = run("trace", prompt_id, "--env=mine")
    found = json.loads(done.stdout[done.stdout.index("{") :])
    (other,) = found["other_samples"]
    indices = {found["response"]["sample_index"], other["response"]["sample_index"]}
    assert len(indices) == 2
    labelled = next(row for row in table(run, "rewards") if row["sample_index"])
    done = run("explain", labelled["prompt_id"], "--env=mine", "--json", "--neighbours=0")
    found = json.loads(done.stdout[done.stdout.index("{") :])
    shown = {t["teacher"]: t["sample_index"] for t in found["teachers"]}
    assert shown[labelled["teacher"]] == labelled["sample_index"]
    (report,) = (run.directory / "data/mine").rglob("report.html/*/report.html")  # type: ignore
    assert "Several answers to a prompt" in report.read_text()
    run("run", "--env=mine", "--pipelines=export")
    (card,) = (run.directory / "data/mine/09_export/dataset").rglob("README.md")  # type: ignore
    assert "up to 2 answers" in card.read_text()
    assert "a-brief 3, a-steps 2, b 1" in card.read_text()


def test_nothing_is_redone_and_another_rule_asks_for_nothing_again(run: Run) -> None:
    assert " Running " not in run("run", "--env=mine").stdout
    change(run, keep="best")
    done = run("run", "--env=mine", "--pipelines=generate").stdout
    assert "Running generate.generate_responses: generate.keep was 'all', is 'best'" in done
    assert calls(table(run, "routed_calls")) == 0
    routed = table(run, "routed_responses")
    assert len({row["prompt_id"] for row in routed}) == len(routed)
    change(run, keep="all")
    assert " Running " not in run("run", "--env=mine", "--pipelines=generate").stdout


def test_strategies_have_as_many_examples_of_each_prompt(run: Run) -> None:
    run("run", "--env=mine", "--pipelines=compare", "--to-outputs=strategy_examples")
    examples = table(run, "strategy_examples")
    counts = {
        name: Counter(row["prompt_id"] for row in examples if row["strategy"] == name)
        for name in ("persyn", "strong")
    }
    assert counts["persyn"] == counts["strong"]
    assert 2 in counts["persyn"].values()


def test_a_greedy_teacher_stops_the_run_before_a_call(run: Run) -> None:
    path = run.directory / "conf/mine/parameters.yml"  # type: ignore[attr-defined]
    text = path.read_text()
    settings = yaml.safe_load(text)
    settings["teachers"]["b"]["sampling"]["temperature"] = 0.0
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    done = run("run", "--env=mine", check=False)
    path.write_text(text)
    assert done.returncode != 0
    assert "generate.samples is 2, but teacher 'b' is greedy" in done.stdout + done.stderr
