"""SIGKILL just before and just after every file is put in place; a full disk; two runs at once.

The teachers are endpoints on loopback, so that a run takes no model and its calls can be counted.
"""

import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, make_project
from tests.support.catalog import load
from tests.support.endpoint import Endpoint, serve

CHUNK = 4
SETTINGS = """\
seed: 3
models:
  far-a: {{endpoint: {{url: "{url}", model: a, max_concurrency: 2}}}}
  far-b: {{endpoint: {{url: "{url}", model: b, max_concurrency: 2}}}}
  tiny: {{random: chat, random_seed: 3, dtype: float32}}
teachers:
  a: {{model: far-a, sampling: {{max_new_tokens: 8}}}}
  b: {{model: far-b, sampling: {{max_new_tokens: 8}}}}
student: {{model: tiny}}
engine: {{name: transformers, chunk_size: 4}}
prepare: {{source: {{file: prompts.jsonl}}, calibration_fraction: 0.5}}
train_router: {{backbone: tiny}}
tracking: {{to: []}}  # its files would take some of a full disk, sooner or later
"""
NODES = "prepare.read_prompts,prepare.screen_prompts,prepare.split_prompts," \
    "label.select_calibration_set,label.answer_calibration_prompts"  # fmt: skip
FIRST_OF_TWO = ("source_prompts.parquet", "calibration_responses.parquet")
TABLES = ("source_prompts", "prompts", "calibration_set", "calibration_responses")


def make(directory: Path, url: str) -> Run:
    run = make_project(directory)
    rows = [{"prompt": f"What is {i} + 1?", "reference": str(i + 1)} for i in range(40)]
    (directory / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (directory / "conf" / "far").mkdir()
    (directory / "conf" / "far" / "parameters.yml").write_text(SETTINGS.format(url=url))
    (directory / "conf" / "far" / "globals.yml").write_text("data: data\n")
    return run


def tables(directory: Path) -> dict[str, Any]:
    return {name: load(directory, name, "far") for name in TABLES}


def stored_answers(directory: Path) -> Counter[str]:
    """Return how many answers of each server's model are stored."""
    import pyarrow.parquet as pq

    stored: Counter[str] = Counter()
    for part in (directory / "data" / "stores" / "responses").rglob("part-*.parquet"):
        model = json.loads((part.parent / "identity.json").read_text())["model"]
        stored[model.removeprefix("far-")] += pq.read_metadata(part).num_rows
    return stored


def stored_keys(directory: Path) -> list[str]:
    import pyarrow.parquet as pq

    parts = sorted((directory / "data" / "stores" / "responses").rglob("part-*.parquet"))
    return [k for part in parts for k in pq.read_table(part)["response_key"].to_pylist()]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with serve() as seen:
        yield seen


@pytest.fixture(scope="module")
def undisturbed(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("undisturbed")
    make(directory, endpoint.url)("run", "--env=far", f"--nodes={NODES}")
    return directory


def run_and_die(directory: Path, when: str, count: int) -> int:
    """Run in a fork that is killed at its ``count``-th ``os.replace``; return how it ended.

    What was to be put in place lies in the file ``boundary``. What it had ``imported`` is imported
    here, so that the next need not.
    """
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    from persyn_kedro.runs.runner import ResumingRunner

    pid = os.fork()
    if pid:
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        for name in (directory / "imported").read_text().split():
            with suppress(ImportError):
                importlib.import_module(name)
        return ended
    code = 1
    try:
        os.chdir(directory)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        replace: Callable[..., None] = os.replace

        numbers = itertools.count(1)  # each teacher's thread takes its own

        def fatal(source: Any, target: Any) -> None:
            met = next(numbers)
            if met < count or when == "after":
                replace(source, target)
            if met == count:
                (directory / "boundary").write_text(str(target))
                (directory / "imported").write_text("\n".join(sys.modules))
                os.kill(os.getpid(), signal.SIGKILL)

        bootstrap_project(directory)
        os.replace = fatal  # type: ignore[assignment]
        with KedroSession.create(project_path=directory, env="far") as session:
            session.run(node_names=NODES.split(","), runner=ResumingRunner())
        code = 0
    finally:
        os._exit(code)


def test_a_run_killed_at_every_write_ends_as_an_undisturbed_one(
    endpoint: Endpoint, undisturbed: Path, tmp_path: Path
) -> None:
    run = make(tmp_path, endpoint.url)
    boundaries: list[str] = []
    count = 1
    while not list((tmp_path / "data/08_reporting").glob("run_manifest.json/2*")):
        for when in ("before", "after"):  # the first leaves no trace of that write
            asked, stored = len(endpoint.bodies), stored_answers(tmp_path)
            assert run_and_die(tmp_path, when, count) == -signal.SIGKILL
            paid = Counter(body["model"] for body in endpoint.bodies[asked:])
            lost = paid - (stored_answers(tmp_path) - stored)
            # At most one chunk of each teacher is paid for again: both answer at the same time.
            assert all(calls <= CHUNK for calls in lost.values())
        path = Path((tmp_path / "boundary").read_text())
        boundaries.append(path.parent.name if path.name[0] == "2" else path.name[:5])
        # A step with two outputs begins anew if one is missing: go past the first the next time.
        count = 2 if boundaries[-1] in FIRST_OF_TWO else 1
        assert len(boundaries) < 60
    assert {*TABLES, "calibration_calls", "run_manifest", "ident", "part-"} <= {
        name.partition(".")[0] for name in boundaries
    }
    before = len(endpoint.bodies)
    run("run", "--env=far", f"--nodes={NODES}")
    assert len(endpoint.bodies) == before  # nothing was left to ask
    assert tables(tmp_path) == tables(undisturbed)
    keys = stored_keys(tmp_path)
    assert len(keys) == len(set(keys)) and set(keys) == set(stored_keys(undisturbed))


def mounted(directory: Path, size: str) -> bool:
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)]
    return subprocess.run(command, capture_output=True).returncode == 0


def test_a_full_disk_is_one_sentence_and_costs_nothing_that_was_stored(
    endpoint: Endpoint, undisturbed: Path, tmp_path: Path
) -> None:
    run = make(tmp_path, endpoint.url)
    if not mounted(tmp_path / "data", "1m"):
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        ballast = tmp_path / "data" / "ballast"
        free = os.statvfs(tmp_path / "data")
        ballast.write_bytes(b"x" * (free.f_bavail * free.f_frsize - 60 * 1024))
        done = run("run", "--env=far", f"--nodes={NODES}", check=False)
        assert done.returncode == 1, done.stdout
        (line,) = [x for x in done.stderr.splitlines() if x.startswith("Error: ")]
        assert "No space left" in line and "run the same command to resume" in line
        assert "Traceback" not in done.stderr
        kept, asked = set(stored_keys(tmp_path)), len(endpoint.bodies)
        assert 0 < len(kept) < len(stored_keys(undisturbed))
        ballast.unlink()
        run("run", "--env=far", f"--nodes={NODES}")
        wanted = len(stored_keys(undisturbed)) - len(kept)
        assert len(endpoint.bodies) - asked == wanted  # what was stored was not asked again
        assert tables(tmp_path) == tables(undisturbed)
    finally:
        subprocess.run(["umount", "-l", str(tmp_path / "data")], check=True)


def test_two_runs_at_once_leave_a_sound_store(
    endpoint: Endpoint, undisturbed: Path, tmp_path: Path
) -> None:
    make(tmp_path, endpoint.url)
    command = [sys.executable, "-m", "kedro", "run", "--env=far", f"--nodes={NODES}"]
    runs = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(2)
    ]
    outputs = [r.communicate(timeout=120)[0].decode() for r in runs]
    assert [r.returncode for r in runs] == [0, 0], outputs
    assert tables(tmp_path) == tables(undisturbed)
    assert set(stored_keys(tmp_path)) == set(stored_keys(undisturbed))
