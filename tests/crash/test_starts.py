"""A model's process starts to train, again and again, beside others that keep the cores busy.

``PERSYN_STARTS`` says how often (2; ``PERSYN_STARTS=500 pytest tests/crash/test_starts.py``), half
of them from a checkpoint. One that a fault kills fails the test, and says where.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.domain.student.sft import train_student_job
from persyn_kedro.foundations.models.random import make_random_model
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.needs import Needs
from persyn_kedro.foundations.settings.student import SftSettings
from tests.support.processes import imported_ahead

STARTS = int(os.environ.get("PERSYN_STARTS", "2"))
BURNERS = 2
ROWS = [{"prompt": "2 + 3?", "response": "5"}]
SETTINGS = SftSettings(epochs=2, batch_size=1, precision="float32")


@pytest.fixture(scope="module")
def busy() -> Iterator[None]:
    """Processes that do nothing else but take their share of the cores."""
    code = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
    burners = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(BURNERS)]
    yield
    for burner in burners:
        burner.kill()
        burner.wait()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, ...]]:
    """The arguments of the training but its workspace; its libraries are imported ahead."""
    with imported_ahead(Needs.TRAINER):
        directory = tmp_path_factory.mktemp("student") / "model"
        list(run_in_child(make_model, directory, label="the model"))
        settings = ModelSettings(random="chat", dtype="float32")
        yield ROWS, ResolvedModel("tiny", directory, "random:chat", settings), None, SETTINGS, 1


def make_model(directory: Path) -> Iterator[None]:
    make_random_model(directory, "chat", 5)
    yield


def left(after: str, *arguments: Any) -> Iterator[int]:
    """Train until the trainer's method ``after`` has done its work, and go; yield the step."""
    import transformers

    method = getattr(transformers.Trainer, after)
    steps: list[int] = []

    def and_go(trainer: Any, *args: Any, **more: Any) -> None:
        method(trainer, *args, **more)
        steps.append(trainer.state.global_step)
        raise KeyError("gone")

    setattr(transformers.Trainer, after, and_go)
    with pytest.raises(KeyError, match="gone"):
        list(train_student_job(*arguments))
    yield from steps


def test_no_start_of_a_training_dies(work: tuple[Any, ...], busy: None, tmp_path: Path) -> None:
    half, workspace = tmp_path / "half", tmp_path / "workspace"
    assert list(run_in_child(left, "_save_checkpoint", *work, half, label="half")) == [1]
    for start in range(STARTS):
        if start % 2:
            shutil.copytree(half, workspace)
        label = f"start {start} of {STARTS}"
        steps = list(run_in_child(left, "_maybe_log_save_evaluate", *work, workspace, label=label))
        assert steps == [1 + start % 2]
        shutil.rmtree(workspace)
