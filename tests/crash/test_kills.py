"""SIGKILL at seeded random moments: what was answered is kept, and the end is the same.

``PERSYN_KILLS`` says how many (5; ``make crash``: 50). Each project is killed several times in a
row before it may end.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.catalog import load
from tests.conftest import Run, make_project

KILLS = int(os.environ.get("PERSYN_KILLS", "5"))
IN_A_ROW = min(10, KILLS)
STEPS = "prepare,label,train_router,route,generate"
TABLES = ("calibration_responses", "rewards", "assignments", "routed_responses", "sft_dataset")
CHUNK = 8  # engine.chunk_size of the smoke environment


def tables(directory: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: load(directory, name) for name in TABLES}


def stored_rows(directory: Path) -> list[str]:
    """Every response row that was ever paid for, with those paid for twice."""
    parts = sorted((directory / "data" / "smoke" / "stores" / "responses").rglob("part-*.parquet"))
    return [k for part in parts for k in pq.read_table(part)["response_key"].to_pylist()]


def start(directory: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "kedro", "run", "--env=smoke", f"--pipelines={STEPS}"]
    return subprocess.Popen(
        command,
        cwd=directory,
        env={**os.environ, "KEDRO_LOGGING_CONFIG": str(directory / "conf" / "logging.yml")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_at(directory: Path, seconds: float) -> bool:
    """Start a run and kill it and all its children; False if it had ended by itself."""
    first = directory / "data" / "smoke" / "02_intermediate" / "prompts.parquet"
    before = len(list(first.glob("2*")))
    run = start(directory)
    while len(list(first.glob("2*"))) == before and run.poll() is None:
        time.sleep(0.05)  # the first node has not ended yet
    try:
        assert run.wait(seconds) == 0
        return False
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        return True


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, float]:
    run = make_project(tmp_path_factory.mktemp("undisturbed"))
    begun = time.monotonic()
    run("run", "--env=smoke", f"--pipelines={STEPS}")
    return run, time.monotonic() - begun


@pytest.mark.parametrize("seed", range(max(1, KILLS // IN_A_ROW)))
def test_killed_runs_end_as_an_undisturbed_one(
    undisturbed: tuple[Run, float], tmp_path: Path, seed: int
) -> None:
    run, seconds = make_project(tmp_path), undisturbed[1]
    draw = random.Random(seed)  # noqa: S311 - moments, not secrets
    killed = sum(kill_at(tmp_path, draw.uniform(0, 0.8 * seconds)) for _ in range(IN_A_ROW))
    assert killed >= 1
    run("run", "--env=smoke", f"--pipelines={STEPS}")
    assert tables(tmp_path) == tables(undisturbed[0].directory)  # type: ignore[attr-defined]
    rows = stored_rows(tmp_path)
    assert len(rows) - len(set(rows)) == 0  # what was stored was not asked for again
    assert set(rows) == set(stored_rows(undisturbed[0].directory))  # type: ignore[attr-defined]
    left = [p for p in (tmp_path / "data").rglob("*") if p.name.startswith(".partial-")]
    assert len(left) <= killed  # never a version: hidden, and gone when written again


def test_an_interrupt_ends_cleanly_and_says_how_to_go_on(tmp_path: Path) -> None:
    make_project(tmp_path)
    command = [sys.executable, "-m", "kedro", "run", "--env=smoke", "--pipelines=prepare,label"]
    run = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    while not list((tmp_path / "data" / "smoke").glob("02_intermediate/splits.parquet/2*")):
        assert run.poll() is None
        time.sleep(0.05)
    time.sleep(1)  # a child is starting or answering
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 130, output[-2000:]
    assert "every answer so far is kept" in output
    assert "Traceback" not in output
