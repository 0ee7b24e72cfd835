"""Fixtures shared by all layers: a project directory of its own, run through the command line."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.support.endpoint import Endpoint, serve
from tests.support.fork_server import shared_imports
from tests.support.hosted_teachers import KEY
from tests.support.processes import import_what_a_run_does
from tests.support.s3_server import serve_s3

# Machines are noisy: no test depends on time. Nor on chance: a gate that draws anew each time fails
# some day for a change that is not at fault. `--hypothesis-profile=search` looks for new cases.
settings.register_profile("search", deadline=None)
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

# The slowest files, slowest first: begun last, one would keep a worker at it when the others are
# done. The first two need neither vLLM nor the smoke run at the same time.
SLOWEST = (
    "real/test_demo_path.py",
    "dag/test_ray.py",
    "dag/test_other_settings.py",
    "integration/test_training_on_nodes.py",
    "real/test_vllm_engine.py",
    "crash/test_kills.py",
    "dag/test_skipping.py",
    "dag/test_kept_models.py",
    "dag/test_running_again.py",
    "dag/test_comparing.py",
    "dag/test_conversations.py",
    "dag/test_several_samples.py",
    "dag/test_batch.py",
    "real/test_live_endpoint.py",
    "dag/test_bad_input.py",
    "dag/test_refused_runs.py",
    "crash/test_write_boundaries.py",
    "dag/test_bucket.py",
    "dag/test_commands.py",
    "dag/test_nothing_else_is_read.py",
    "dag/test_steps_apart.py",
    "dag/test_run_options.py",
    "dag/test_public_api.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "the files of tests in another order, drawn by this seed; within a file it stays"
    parser.addoption("--file-order", metavar="SEED", help=text)


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # else pytest-xdist begins with those of most tests
    import_what_a_run_does()


def pytest_report_header(config: pytest.Config) -> str | None:
    seed = config.getoption("--file-order")
    return None if seed is None else f"file order: {seed}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.getoption("--file-order")
    if seed is not None:
        items.sort(key=lambda item: _draw(seed, item.nodeid.partition("::")[0]))
    else:
        items.sort(key=_place)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Name a failed test at once: a run that is ended has no summary."""
    if not report.failed or "PYTEST_XDIST_WORKER" in os.environ:
        return None
    error = report.when != "call"
    return "error" if error else "failed", f"\n{report.nodeid} FAILED\n", "FAILED"


def _place(item: pytest.Item) -> int:
    file = item.nodeid.partition("::")[0].removeprefix("tests/")
    return SLOWEST.index(file) if file in SLOWEST else len(SLOWEST)


def _draw(seed: str, file: str) -> str:
    return hashlib.sha256(f"{seed} {file}".encode()).hexdigest()


ROOT = Path(__file__).parent.parent
Run = Callable[..., subprocess.CompletedProcess[str]]


def make_project(directory: Path, shared: bool = True) -> Run:
    """Copy what Kedro needs into ``directory`` and return ``kedro`` in it, as ``kedro_in``."""
    for name in ("conf", "src", "pyproject.toml", "LICENSE", "NOTICE", "notebooks", ".telemetry"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, directory / name)
    return kedro_in(directory, shared)


def kedro_in(directory: Path, shared: bool = True) -> Run:
    """Return ``run(*args)``: ``kedro`` in a project's directory; keywords are its environment.

    ``shared``: its models may be forked from the tests' server, and not from one of its own.
    """
    environment = {
        **os.environ,
        "KEDRO_LOGGING_CONFIG": str(directory / "conf" / "logging.yml"),
        "COLUMNS": "200",
        "KEDRO_DISABLE_TELEMETRY": "1",
    }

    def run(*args: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        variables = {**environment, **more}
        server = shared_imports(variables) if shared else {}
        done = subprocess.run(
            [Path(sys.executable).with_name("kedro"), *args],  # `-m` would import less in children
            cwd=directory,
            env={**variables, **server},
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        done.shared = bool(server)  # type: ignore[attr-defined]
        return done

    run.directory = directory  # type: ignore[attr-defined]
    return run


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A project whose whole DAG has run once, on tiny random models, in the smoke environment.

    All of pytest's workers share it, the first that asks makes it, and it stays as it is: a test
    that runs more there takes ``smoke_project``. ``first`` is the run, ``seconds`` its time, and
    ``cache`` what it found empty.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    directory, record = shared / "smoke_run", shared / "smoke_run.json"
    cache = shared / "smoke_cache"
    with FileLock(shared / "smoke_run.lock"):
        if not record.exists():
            for path in (directory, cache):
                shutil.rmtree(path, ignore_errors=True)  # of a worker whose run failed
                path.mkdir()
            begun = time.monotonic()
            done = make_project(directory)("run", "--env=smoke", PERSYN_CACHE=str(cache))
            seconds = time.monotonic() - begun
            record.write_text(json.dumps([seconds, done.args[1:], done.stdout, done.stderr]))
    seconds, args, stdout, stderr = json.loads(record.read_text())
    run = kedro_in(directory)
    run.first = subprocess.CompletedProcess(args, 0, stdout, stderr)  # type: ignore[attr-defined]
    run.seconds, run.cache = seconds, cache  # type: ignore[attr-defined]
    return run


@pytest.fixture(scope="module")
def smoke_project(smoke_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A copy of the smoke run for each file of tests, which find nothing that another's left."""
    directory = tmp_path_factory.mktemp("smoke_copy") / "project"
    shutil.copytree(smoke_run.directory, directory)  # type: ignore[attr-defined]
    run = kedro_in(directory)
    run.first = smoke_run.first  # type: ignore[attr-defined]
    return run


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """A server whose faults are asked for in the prompt; ``TEST_KEY`` holds its key."""
    monkeypatch.setenv("TEST_KEY", KEY)
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def s3_server() -> Iterator[dict[str, str]]:
    """An S3 server with one bucket; the environment leads to it, and is the value."""
    with serve_s3() as environment:
        yield environment
