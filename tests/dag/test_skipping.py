"""What changed is done again, and nothing else: through the command line, read in the manifest."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.pipeline_registry import register_pipelines
from tests.conftest import Run, make_project
from tests.support.catalog import load, versions
from tests.support.event_files import scalars_and_texts

Kedro = Callable[..., tuple[dict[str, Any], subprocess.CompletedProcess[str]]]


@pytest.fixture(scope="module")
def kedro(smoke_project: Run) -> Kedro:
    """Run a command in the smoke project and return its manifest too."""

    def run(*args: str) -> tuple[dict[str, Any], subprocess.CompletedProcess[str]]:
        done = smoke_project("run", "--env=smoke", *args)
        return load(smoke_project.directory, "run_manifest"), done

    run.directory = smoke_project.directory  # type: ignore[attr-defined]
    return run


def test_a_run_that_changes_nothing_does_nothing_and_prints_the_same_table(kedro: Kedro) -> None:
    directory = kedro.directory  # type: ignore[attr-defined]
    before = load(directory, "report_summary")
    manifest, done = kedro("--params=tracking.to=[tensorboard],tracking.name=unchanged")
    assert manifest["because"] == manifest["saved"] == manifest["seconds"] == {}
    assert set(manifest["skipped"]) == {n.name for n in register_pipelines()["__default__"].nodes}
    assert done.stdout.count("Skipped ") == len(manifest["skipped"])
    assert "Generate-then-Select" in done.stdout
    assert load(directory, "report_summary") == before
    # Trackers see the numbers of skipped steps too.
    scalars, _ = scalars_and_texts(directory / "data/smoke/tracking/tensorboard/unchanged")
    n = load(directory, "evaluation_metrics")["accuracy"]["n"]
    assert scalars["evaluation_metrics/accuracy/n", 0] == n


SPLITTING = ("prepare.screen_prompts", "prepare.split_prompts")


@pytest.mark.parametrize(
    ("pipelines", "params", "redone"),
    [
        (
            "label",
            "student.system=Hello.",
            {
                "label.score_learnability": "student.system was None, is 'Hello.'",
                "label.normalise_rewards": "token_statistics changed",
            },
        ),
        (
            "label",
            "models.tiny-b.random_seed=9",
            {
                "label.estimate_calls": "models.tiny-b.weights_id was "
                "'random:chat-2-v1', is 'random:chat-9-v1'",
                "label.answer_calibration_prompts": "models.tiny-b.weights_id was "
                "'random:chat-2-v1', is 'random:chat-9-v1'",
                "label.score_learnability": "models.tiny-b.weights_id was "
                "'random:chat-2-v1', is 'random:chat-9-v1'",
                "label.score_quality": "models.tiny-b.weights_id was "
                "'random:chat-2-v1', is 'random:chat-9-v1'",
                "label.normalise_rewards": "calibration_responses and quality and token_statistics "
                "changed",
            },
        ),
        (
            "prepare",
            "prepare.test_fraction=0.21",
            dict.fromkeys(SPLITTING, "prepare.test_fraction was 0.2, is 0.21"),
        ),
        (
            "prepare,label",
            "prepare.withheld_fraction=0.9",
            {  # the source is not read again, and of the calibration prompts nothing is done again
                **dict.fromkeys(SPLITTING, "prepare.withheld_fraction was 0.3, is 0.9"),
                "label.select_calibration_set": "prompts changed",
                "label.estimate_calls": "prompts changed",
            },
        ),
        ("evaluate", "evaluate.confidence=0.9", {
            "evaluate.measure_student": "evaluate.confidence was 0.95, is 0.9",
            "evaluate.summarise": "evaluation_metrics changed",
            "evaluate.draw_run_plots": "report_summary changed",
        }),
        # Time, memory and money are no reasons.
        (
            "label,route,generate",
            "engine.chunk_size=3,engine.max_num_seqs=5,teachers.b.price=2,route.batch_size=2",
            {},
        ),
    ],
)  # fmt: skip
def test_a_change_redoes_what_reads_it_and_says_why(
    kedro: Kedro, pipelines: str, params: str, redone: dict[str, str]
) -> None:
    manifest, done = kedro(f"--pipelines={pipelines}", f"--params={params}")
    assert manifest["because"] == redone
    for node, why in redone.items():
        assert f"Running {node}: {why}" in " ".join(done.stdout.split())
    if redone:
        kedro("--pipelines=prepare,label,evaluate")  # as it was


def test_settings_changed_back_bring_the_older_version_back(kedro: Kedro) -> None:
    directory = kedro.directory  # type: ignore[attr-defined]
    first = load(directory, "rewards")
    manifest, done = kedro("--pipelines=label", "--params=label.alpha=0.75")
    assert manifest["because"] == {
        # Whether references are needed hangs on alpha; the set itself stays the same.
        "label.select_calibration_set": "label.alpha was 0.4, is 0.75",
        "label.normalise_rewards": "label.alpha was 0.4, is 0.75",
    }
    for node in manifest["because"]:
        assert f"Running {node}: label.alpha was 0.4, is 0.75" in " ".join(done.stdout.split())
    assert load(directory, "rewards") != first
    count = len(versions(directory, "rewards.parquet"))
    manifest, _ = kedro("--pipelines=label")
    assert manifest["because"] == {}
    assert load(directory, "rewards") == first  # made the newest, whatever reads it next
    assert len(versions(directory, "rewards.parquet")) == count + 1


def test_inputs_older_than_the_settings_are_told(kedro: Kedro) -> None:
    manifest, done = kedro("--pipelines=train_router", "--params=label.alpha=0.3")
    assert manifest["because"] == {}
    text = " ".join(done.stdout.split())
    assert "out of date with the settings: label.select_calibration_set (label.alpha" in text
    assert "label.normalise_rewards (label.alpha was 0.4, is 0.3)" in text
    _, done = kedro("--pipelines=train_router")
    assert "out of date" not in done.stdout


def test_a_changed_prompt_file_is_noticed(tmp_path: Path) -> None:
    run = make_project(tmp_path)
    file = tmp_path / "p.jsonl"
    rows = [{"prompt": f"{i} + 1?", "reference": str(i + 1)} for i in range(30)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "conf" / "mine").mkdir()
    (tmp_path / "conf" / "mine" / "parameters.yml").write_text(
        (tmp_path / "conf" / "smoke" / "parameters.yml").read_text().split("prepare:")[0]
        + f"prepare: {{source: {{file: {file}}}}}\ntrain_router: {{backbone: tiny-student}}\n"
    )
    first = run("run", "--env=mine", "--pipelines=prepare")
    assert "Running prepare.read_prompts: no source_prompts yet" in first.stdout
    again = run("run", "--env=mine", "--pipelines=prepare")
    assert "Running" not in again.stdout
    file.write_text(file.read_text() + '{"prompt": "one more?"}\n')
    changed = run("run", "--env=mine", "--pipelines=prepare")
    assert "Running prepare.read_prompts: prompts_read was 'file:" in changed.stdout
    assert "Running prepare.split_prompts: source_prompts changed" in changed.stdout


def test_the_package_runs_as_a_module_too(smoke_project: Run) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "persyn_kedro", "--env=smoke", "--pipelines=prepare"],
        cwd=smoke_project.directory,  # type: ignore[attr-defined]
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Skipped prepare.read_prompts" in done.stdout


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ("response_store:v1", "response_store has no versions"),
        ("assignments:v1", "assignments is made by this run itself"),
        ("router:1999", "router has no version 1999; the newest are 2"),
    ],
)
def test_load_versions_that_kedro_would_ignore_or_mix_are_refused(
    smoke_project: Run, chosen: str, sentence: str
) -> None:
    done = smoke_project(
        "run", "--env=smoke", "--pipelines=route", f"--load-versions={chosen}", check=False
    )
    assert done.returncode == 1
    assert f"Error: --load-versions: {sentence}" in done.stderr
    assert "Traceback" not in done.stderr
