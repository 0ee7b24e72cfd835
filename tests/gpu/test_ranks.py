"""Two processes train the student of one, with NCCL between two GPUs, Gloo between CPUs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from persyn_kedro.domain.student.sft import train_student_job
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes.ranks import run_in_ranks
from persyn_kedro.foundations.settings.needs import Needs
from persyn_kedro.foundations.settings.student import SftSettings
from tests.support.processes import imported_ahead
from tests.support.trainings import ROWS

SETTINGS = SftSettings(epochs=2, batch_size=3, learning_rate=5e-3, precision="float32")


@pytest.fixture(scope="module", autouse=True)
def libraries() -> Iterator[None]:
    with imported_ahead(Needs.TRAINER):
        yield


def named(device: str, *work: Any) -> Iterator[Any]:
    """Train, and yield which backend the ranks' group uses for tensors of the device."""
    yield from train_student_job(*work)
    group = torch.distributed.group.WORLD
    yield {"backend": group._get_backend(torch.device(device)).name()}  # type: ignore[union-attr]


@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_two_processes_train_the_student_of_one(
    device: str, float32_model: ResolvedModel, sharding: str, tmp_path: Path
) -> None:
    if device == "cuda" and torch.cuda.device_count() < 2:
        pytest.skip("this machine has one GPU")
    losses, weights = [], []
    for processes in (1, 2):
        work = tmp_path / str(processes)
        job, first = (train_student_job, ()) if processes == 1 else (named, (device,))
        items = list(
            run_in_ranks(
                job, *first, ROWS, float32_model, None, SETTINGS, 1, work,
                processes=processes, sharding=sharding, label="training",
            )  # type: ignore[arg-type]
        )  # fmt: skip
        losses.append([item["loss"] for item in items if "loss" in item])
        weights.append(load_file(work / "model" / "model.safetensors"))
    assert items[-1] == {"backend": "nccl" if device == "cuda" else "gloo"}
    assert len(losses[0]) == 6 and losses[1] == pytest.approx(losses[0], abs=1e-4)
    for name, tensor in weights[0].items():
        assert (tensor - weights[1][name]).abs().max() < 5e-4, name
