"""SIGKILL at seeded random moments: what was answered is kept, and the end is the same.

``PERSYN_KILLS`` says how many (4; ``make crash``: 50). A project is killed ten times in a row, or
until its run ends before its moment, and then may end.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import Run, kedro_in, make_project
from tests.support.catalog import load

KILLS = int(os.environ.get("PERSYN_KILLS", "4"))
IN_A_ROW = min(10, KILLS)
STEPS = "prepare,label,train_router,route,generate,sft"
TABLES = ("calibration_responses", "rewards", "assignments", "routed_responses", "sft_dataset")
CHUNK = 8  # engine.chunk_size of the smoke environment


def tables(directory: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: load(directory, name) for name in TABLES}


def stored_rows(directory: Path) -> list[str]:
    """Every response row that was ever paid for, with those paid for twice."""
    parts = sorted((directory / "data" / "smoke" / "stores" / "responses").rglob("part-*.parquet"))
    return [k for part in parts for k in pq.read_table(part)["response_key"].to_pylist()]


def start(directory: Path, *more: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "kedro", "run", "--env=smoke", *more]
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, "KEDRO_LOGGING_CONFIG": str(directory / "conf" / "logging.yml")},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def kill_at(directory: Path, seconds: float) -> bool:
    """Start a run and kill it and all its children; False if it had ended by itself.

    The seconds count from its first node on.
    """
    run = start(directory, f"--pipelines={STEPS}")
    while b"prepare.read_prompts" not in (directory / "log").read_bytes() and run.poll() is None:
        time.sleep(0.05)
    try:
        assert run.wait(seconds) == 0, (directory / "log").read_text()[-3000:]
        return False
    except subprocess.TimeoutExpired:
        kill(run)
        return True


def kill(run: "subprocess.Popen[bytes]") -> None:
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def made(directory: Path, dataset: str) -> str:
    """Return the content's hash of the newest version."""
    records = (directory / "data" / "smoke").glob(f"*/{dataset}/2*/made_by.json")
    return json.loads(max(records).read_text())["content"]


@pytest.mark.parametrize("seed", range(max(1, KILLS // IN_A_ROW)))
def test_killed_runs_end_as_an_undisturbed_one(smoke_run: Run, tmp_path: Path, seed: int) -> None:
    run, undisturbed = make_project(tmp_path), smoke_run.directory  # type: ignore[attr-defined]
    seconds: float = smoke_run.seconds  # type: ignore[attr-defined]
    draw = random.Random(seed)  # noqa: S311 - moments, not secrets
    killed = sum(kill_at(tmp_path, draw.uniform(0, 0.2 * seconds)) for _ in range(IN_A_ROW))
    assert killed >= IN_A_ROW / 2
    run("run", "--env=smoke", f"--pipelines={STEPS}")
    assert tables(tmp_path) == tables(undisturbed)
    assert made(tmp_path, "student") == made(undisturbed, "student")
    rows = stored_rows(tmp_path)
    assert len(rows) - len(set(rows)) == 0  # what was stored was not asked for again
    answered = tables(undisturbed)
    paid = [*answered["calibration_responses"], *answered["routed_responses"]]
    assert set(rows) == {row["response_key"] for row in paid}
    versions = list((tmp_path / "data" / "smoke").glob("0*/*/2*"))
    assert versions and all((p / "made_by.json").is_file() for p in versions)  # whole ones alone


def test_a_student_killed_in_training_goes_on_from_its_checkpoint(
    smoke_run: Run, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for copy in (whole, broken):
        shutil.copytree(smoke_run.directory, copy)  # type: ignore[attr-defined]
    longer = ("--pipelines=sft", "--params=sft.epochs=6")
    kedro_in(whole)("run", "--env=smoke", *longer)
    run = start(broken, *longer)
    checkpoints = broken / "data" / "smoke" / "workspaces" / "sft_workspace" / "checkpoints"
    while not list(checkpoints.glob("checkpoint-*/trainer_state.json")):
        assert run.poll() is None, (broken / "log").read_text()
        time.sleep(0.01)
    kill(run)
    first = {p.name for p in checkpoints.glob("checkpoint-*")}
    assert first
    kedro_in(broken)("run", "--env=smoke", *longer)
    assert made(broken, "student") == made(whole, "student")
    assert made(broken, "training_curve.json") == made(whole, "training_curve.json")


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_cleanly_and_says_how_to_go_on(
    sent: signal.Signals, code: int, tmp_path: Path
) -> None:
    mlflow = pytest.importorskip("mlflow")
    make_project(tmp_path)
    uri = (tmp_path / "mlruns").as_uri()
    tracked = f"--params=tracking.to=[mlflow],tracking.mlflow.uri={uri}"
    command = ["run", "--env=smoke", "--pipelines=prepare,label", tracked]
    run = subprocess.Popen(
        [sys.executable, "-m", "kedro", *command],
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A background job is born deaf to Ctrl-C, and so would be this run.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not list((tmp_path / "data" / "smoke").glob("02_intermediate/prompts.parquet/2*")):
        assert run.poll() is None
        time.sleep(0.05)
    time.sleep(1)  # a child is starting or answering
    run.send_signal(sent)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == code, output[-2000:]
    assert "all answers so far are saved" in output
    assert "Traceback" not in output
    (manifest,) = (tmp_path / "data").rglob("run_manifest.json/*/run_manifest.json")
    assert json.loads(manifest.read_text())["status"] == "interrupted"
    with pytest.MonkeyPatch.context() as allowed:
        allowed.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        client = mlflow.MlflowClient(uri)
        experiment = client.get_experiment_by_name("persyn-kedro")
        (tracked_run,) = client.search_runs([experiment.experiment_id])
    assert tracked_run.info.status == "KILLED"
