"""Each tracker's own files, store or server, after the same short run and a child run.

TensorBoard and MLflow's client are in the test environment. A real MLflow server, trackio and W&B
need older versions of packages that are pinned there: those tests run where they are installed.
"""

import importlib.util
import logging
import os
import socket
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from persyn_kedro.foundations.settings import TrackingSettings, read_group
from persyn_kedro.foundations.tracking import (
    Ending,
    Measurement,
    Outbox,
    TrackedRun,
    check_tracking,
    trackers_of,
)
from tests.support.event_files import scalars_and_texts

PART = (("strategy", "persyn"), ("seed", 1))
CHILD = "monday strategy persyn, seed 1"
LOSSES = {1: 2.0, 2: 1.0}


def track(settings: dict[str, Any], directory: Path, ending: Ending = "complete") -> None:
    """Follow a short run: a curve, a number, a child's curve, a report and its links."""
    box = opened(settings, directory)
    for step, loss in LOSSES.items():
        box.measure(Measurement({"training_curve/loss": loss}, step))
        box.measure(Measurement({"training_curve/loss": loss / 2}, step, PART))
    box.measure(Measurement({"evaluation_metrics/accuracy": 0.25}))
    report = directory / "report.html"
    report.write_text("<p>All is well.</p>")
    box.call(lambda tracker: tracker.attach(report))
    box.call(lambda tracker: tracker.describe({"manifest": "data/m.json", "version.student": "1"}))
    box.close(ending)


def opened(settings: dict[str, Any], directory: Path) -> Outbox:
    typed: TrackingSettings = read_group("tracking", settings)
    check_tracking(typed)
    read = {"sft.epochs": "2", "seed": "7", "models.a@home.dtype": "float32"}
    run = TrackedRun("project", "monday", read, directory)
    return Outbox(trackers_of(typed), run)


def no_warnings(caplog: pytest.LogCaptureFixture) -> bool:
    return not [r for r in caplog.records if r.name.startswith("persyn")]


def test_tensorboards_event_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    track({"to": ["tensorboard"]}, tmp_path)
    own = tmp_path / "tensorboard" / "monday"
    scalars, texts = scalars_and_texts(own)
    assert scalars == {
        ("training_curve/loss", 1): 2.0,
        ("training_curve/loss", 2): 1.0,
        ("evaluation_metrics/accuracy", 0): 0.25,
    }
    assert "| sft.epochs | 2 |" in texts and "| version.student | 1 |" in texts
    scalars, texts = scalars_and_texts(own / "strategy persyn, seed 1")
    assert scalars == {("training_curve/loss", s): loss / 2 for s, loss in LOSSES.items()}
    assert "| strategy | persyn |" in texts
    assert no_warnings(caplog)


def check_mlflow(uri: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("project")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    own, child = runs["monday"], runs[CHILD]
    read = {"sft.epochs": "2", "seed": "7", "models.a_home.dtype": "float32"}
    assert own.data.params == read
    assert own.data.metrics == {"training_curve/loss": 1.0, "evaluation_metrics/accuracy": 0.25}
    history = client.get_metric_history(own.info.run_id, "training_curve/loss")
    assert {point.step: point.value for point in history} == LOSSES
    assert own.data.tags["persyn.manifest"] == "data/m.json"
    assert [file.path for file in client.list_artifacts(own.info.run_id)] == ["report.html"]
    assert child.data.tags["mlflow.parentRunId"] == own.info.run_id
    assert child.data.params == {"strategy": "persyn", "seed": "1"}
    assert child.data.metrics == {"training_curve/loss": 0.5}


def test_mlflows_client_and_its_file_store(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "store").as_uri()
    track({"to": ["mlflow"], "mlflow": {"uri": uri}}, tmp_path)
    assert no_warnings(caplog), caplog.text
    check_mlflow(uri)


@pytest.mark.parametrize(
    ("ending", "status"), [("failed", "FAILED"), ("interrupted", "KILLED"), (None, "KILLED")]
)
def test_no_run_of_mlflow_is_left_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: Ending | None, status: str
) -> None:
    """Neither where nothing has ended it, such as Ctrl-C between two steps."""
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "store").as_uri()
    settings = {"to": ["mlflow"], "mlflow": {"uri": uri}}
    if ending:
        track(settings, tmp_path, ending)
    else:
        code = (
            "from pathlib import Path; from tests.integration.test_trackers import *; "
            f"box = opened({settings!r}, Path({str(tmp_path)!r})); "
            f"box.measure(Measurement({{'a': 1.0}})); arrived({uri!r}); raise KeyboardInterrupt"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=300)
        assert b"KeyboardInterrupt" in done.stderr
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("project")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert runs and {run.info.status for run in runs} == {status}


def test_mlflows_login_is_sent_and_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mlflow")
    seen: list[str | None] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_error(403)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as refusing:
        Thread(target=refusing.serve_forever, daemon=True).start()
        uri = f"http://me:s3%40cret@127.0.0.1:{refusing.server_port}"
        track({"to": ["mlflow"], "mlflow": {"uri": uri}}, tmp_path)
        refusing.shutdown()
    assert set(seen) == {f"Basic {b64encode(b'me:s3@cret').decode()}"}
    assert "Tracking with mlflow stopped" in caplog.text
    said = capfd.readouterr()
    assert "cret" not in caplog.text + said.out + said.err


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A real MLflow server on the loopback interface; the client's package has none."""
    try:
        distribution("mlflow")
    except PackageNotFoundError:
        pytest.skip("no MLflow server: pip install mlflow (its pyarrow is older than ours)")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db",
        "--artifacts-destination", str(tmp_path / "artifacts"),
    ]  # fmt: skip
    with (tmp_path / "server.log").open("wb") as log:
        running = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )  # fmt: skip
    uri = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with suppress(OSError):
                urllib.request.urlopen(f"{uri}/health", timeout=5)
                break
            time.sleep(0.2)
        yield uri, running
    finally:
        kill(running)


def kill(server: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, 9)
    server.wait()


def test_a_real_mlflow_server(
    server: tuple[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    track({"to": ["mlflow"], "mlflow": {"uri": server[0]}}, tmp_path)
    assert no_warnings(caplog), caplog.text
    check_mlflow(server[0])


def test_a_server_killed_in_mid_run_is_one_warning(
    server: tuple[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    uri, running = server
    box = opened({"to": ["mlflow", "tensorboard"], "mlflow": {"uri": uri}}, tmp_path)
    box.measure(Measurement({"training_curve/loss": 2.0}, 1))
    arrived(uri)
    kill(running)
    box.measure(Measurement({"training_curve/loss": 1.0}, 2))
    box.close("complete")
    (told,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert told.startswith("Tracking with mlflow stopped, the run goes on: MlflowException: ")
    scalars, _ = scalars_and_texts(tmp_path / "tensorboard" / "monday")
    assert {step: loss for (_, step), loss in scalars.items()} == LOSSES


def arrived(uri: str) -> None:
    """Wait until the server has the first value."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    for _ in range(300):
        experiment = client.get_experiment_by_name("project")
        runs = client.search_runs([experiment.experiment_id]) if experiment else []
        if any(run.data.metrics for run in runs):
            return
        time.sleep(0.1)
    raise AssertionError("nothing arrived")


@pytest.mark.skipif(importlib.util.find_spec("trackio") is None, reason="pip install trackio")
def test_trackios_local_store(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from tests.integration.test_trackers import track; "
        f"track({{'to': ['trackio']}}, Path({str(tmp_path)!r})); "
        "import trackio; from trackio.sqlite_storage import SQLiteStorage as s; "
        "print('RESULT', [(r, sorted((row['step'], row['training_curve/loss']) "
        "for row in s.get_logs('project', r) if 'training_curve/loss' in row)) "
        "for r in sorted(s.get_runs('project'))])"
    )
    out = python(code, tmp_path)
    expected = [("monday", [(1, 2.0), (2, 1.0)]), (CHILD, [(1, 1.0), (2, 0.5)])]
    assert f"RESULT {expected}" in out
    assert list((tmp_path / "trackio").glob("project.db"))


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="pip install wandb")
def test_wandb_offline(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from tests.integration.test_trackers import track; "
        f"track({{'to': ['wandb']}}, Path({str(tmp_path)!r}))"
    )
    python(code, tmp_path)
    files = list((tmp_path / "wandb" / "wandb").glob("offline-run-*/run-*.wandb"))
    written = b"".join(file.read_bytes() for file in files)
    assert len(files) == 2  # the run and its child
    for part in (b"training_curve/loss", b"sft.epochs", b"version.student", b"strategy"):
        assert part in written


def python(code: str, directory: Path) -> str:
    """Run code in a process of its own: these libraries read their variables once."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("TRACKIO_", "WANDB_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=300
    )
    assert done.returncode == 0 and "Tracking with" not in done.stderr, done.stderr[-3000:]
    return done.stdout
