"""A training speaks to no server: what TRL would report goes out from a thread that may kill it."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.domain.student.sft import train_student_job
from persyn_kedro.foundations.models.random import make_random_model
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.student import SftSettings


def train(directory: Path, *arguments: Any) -> Iterator[tuple[list[str], list[str]]]:
    """Train a tiny student; yield the hosts that were looked up and the threads that came."""
    hosts: list[str] = []

    def note(event: str, given: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            hosts.append(str(given[0]))

    sys.addaudithook(note)
    make_random_model(directory, "chat", 5)
    before = set(threading.enumerate())
    settings = ModelSettings(random="chat", dtype="float32")
    student = ResolvedModel("tiny", directory, "random:chat", settings)
    rows = [{"prompt": "2 + 3?", "response": "5"}]
    list(train_student_job(rows, student, None, *arguments))
    yield hosts, [thread.name for thread in threading.enumerate() if thread not in before]


def test_a_training_looks_up_no_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.delenv(name, raising=False)
    settings = SftSettings(epochs=1, batch_size=1, precision="float32")
    work = (tmp_path / "model", settings, 1, tmp_path / "work")
    assert list(run_in_child(train, *work, label="training")) == [([], [])]
