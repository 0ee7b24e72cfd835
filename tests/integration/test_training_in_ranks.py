"""Training in two processes: the losses, weights and files of one, and each other's checkpoints."""

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import transformers

from persyn_kedro.domain.routers import registry
from persyn_kedro.domain.routers.jobs import fit_router_job
from persyn_kedro.domain.student import sft
from persyn_kedro.domain.student.sft import train_student_job
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.load import load_causal_lm
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes.group import group
from persyn_kedro.foundations.processes.ranks import run_in_ranks
from persyn_kedro.foundations.progress import step
from persyn_kedro.foundations.settings.needs import Needs
from persyn_kedro.foundations.settings.student import StudentLoraSettings
from tests.support.processes import imported_ahead, is_running
from tests.support.trainings import (
    POOL,
    PROMPTS,
    REWARDS,
    ROUTER,
    ROWS,
    SETTINGS,
    made,
    same_curve,
    same_files,
    tiny_student,
)


@pytest.fixture(scope="module", autouse=True)
def libraries() -> Iterator[None]:
    """As a run does: else each process of each test would import all libraries anew."""
    with imported_ahead(Needs.TRAINER | Needs.ROUTER):
        yield


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> ResolvedModel:
    return tiny_student(tmp_path_factory.mktemp("student") / "model")


@pytest.fixture(scope="module")
def alone(student: ResolvedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of it."""
    directory = tmp_path_factory.mktemp("alone")
    return made(directory, list(train_student_job(ROWS, student, None, SETTINGS, 1, directory)))


@pytest.fixture(scope="module")
def router_alone(student: ResolvedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("router_alone")
    job = fit_router_job(PROMPTS, REWARDS, ROUTER, student, 1, POOL, directory / "router")
    return made(directory, list(job))


def looked_at(*work: Any) -> Iterator[Any]:
    """Train the student and yield, in the end, what the trainer's parameters are."""
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor

    seen: dict[str, Any] = {}
    save = sft.save_student

    def look(trainer: Any, *more: Any) -> None:
        parameters = list(trainer.model.parameters())
        seen["sharded"] = {isinstance(p, DTensor) for p in parameters}
        seen["of fully_shard"] = isinstance(trainer.model, FSDPModule)
        local = sum(
            p.to_local().numel() if isinstance(p, DTensor) else p.numel() for p in parameters
        )
        seen["part"] = local / sum(p.numel() for p in parameters)
        save(trainer, *more)

    sft.save_student = look
    yield from train_student_job(*work)
    yield seen


def killed_after(epochs: int, job: Any, pids: Path, *work: Any) -> Iterator[Any]:
    """Run a job until so many checkpoints were saved; then rank 1, or the only one, is killed."""
    from persyn_kedro.domain.routers.language_model.checkpoint import RouterCheckpoint

    saved = []

    def and_die(save: Any) -> Any:
        def save_and_die(*args: Any) -> None:
            save(*args)
            saved.append(args)
            group().barrier()
            if len(saved) == epochs and group().rank == group().size - 1:
                os.kill(os.getpid(), signal.SIGKILL)

        return save_and_die

    (pids / str(os.getpid())).touch()
    transformers.Trainer._save_checkpoint = and_die(transformers.Trainer._save_checkpoint)
    RouterCheckpoint.save = and_die(RouterCheckpoint.save)  # type: ignore[method-assign]
    yield from job(*work)


def kill(
    processes: int, sharding: str, directory: Path, job: Any, *work: Any, epochs: int = 1
) -> None:
    """Have a job killed; nothing of it is left but its checkpoint."""
    pids = directory / "pids"
    pids.mkdir()
    killed = run_in_ranks(
        killed_after, epochs, job, pids, *work,
        processes=processes, sharding=sharding, label="training",
    )  # fmt: skip
    who = f"training, rank 1 of {processes}" if processes > 1 else "training"
    with pytest.raises(PersynError, match=f"^{who}: its process was killed by SIGKILL"):
        list(killed)
    assert len(list(pids.iterdir())) == processes
    assert not any(is_running(int(path.name)) for path in pids.iterdir())


@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_two_processes_train_the_student_of_one(
    sharding: str, student: ResolvedModel, alone: Path, tmp_path: Path
) -> None:
    work = (ROWS, student, None, SETTINGS, 1, tmp_path)
    items = list(run_in_ranks(looked_at, *work, processes=2, sharding=sharding, label="training"))
    assert items[0] == {"left_out": 0}
    if sharding == "fsdp":
        assert items[-1] == {"sharded": {True}, "of fully_shard": True, "part": 0.5}
    else:
        assert items[-1] == {"sharded": {False}, "of fully_shard": False, "part": 1.0}
    same_curve(items, alone)
    same_files(tmp_path / "model", alone / "model")


def test_weights_that_do_not_divide_are_sharded_all_the_same(
    student: ResolvedModel, tmp_path: Path
) -> None:
    config = transformers.AutoConfig.from_pretrained(student.directory)
    config.update({"tie_word_embeddings": False, "vocab_size": 261, "intermediate_size": 63})
    shutil.copytree(student.directory, tmp_path / "odd")
    transformers.LlamaForCausalLM(config).float().save_pretrained(tmp_path / "odd")
    odd = replace(student, directory=tmp_path / "odd")
    settings = SETTINGS.model_copy(update={"batch_size": 4})
    one = made(tmp_path, list(train_student_job(ROWS, odd, None, settings, 1, tmp_path / "one")))
    work = (ROWS, odd, None, settings, 1, tmp_path / "two")
    items = run_in_ranks(train_student_job, *work, processes=2, sharding="fsdp", label="training")
    assert [i["loss"] for i in items if "loss" in i] == pytest.approx(
        [i["loss"] for i in json.loads((one / "curve").read_text())], abs=1e-5
    )
    same_files(tmp_path / "two" / "model", tmp_path / "one" / "model")


def test_tied_embeddings_that_do_not_divide_are_refused(student: ResolvedModel) -> None:
    with pytest.raises(PersynError, match=r"^Model 'tiny': 260 rows of tied embeddings cannot be"):
        load_causal_lm(student, shards=3)


@pytest.mark.parametrize(
    ("before", "epochs", "after"),
    [
        ((2, "fsdp"), 1, (1, "none")),
        ((1, "none"), 1, (2, "fsdp")),
        ((2, "fsdp"), 2, (2, "fsdp")),
    ],
)
def test_a_killed_training_goes_on_with_another_number_of_processes(
    before: tuple[int, str],
    epochs: int,
    after: tuple[int, str],
    student: ResolvedModel,
    alone: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = (ROWS, student, None, SETTINGS, 1, tmp_path)
    kill(*before, tmp_path, train_student_job, *work, epochs=epochs)
    caplog.set_level("INFO", "persyn_kedro.foundations.progress")
    with step("sft"):
        items = list(
            run_in_ranks(
                train_student_job, *work, processes=after[0], sharding=after[1], label="training"
            )
        )
    told = re.search(r": (\d) training steps \(", caplog.text)
    assert (told and int(told[1])) == (2 if epochs == 1 else None)  # of the second epoch alone
    same_curve(items, alone)
    same_files(tmp_path / "model", alone / "model")


def test_two_processes_train_an_adapter(student: ResolvedModel, tmp_path: Path) -> None:
    """Beside whole weights, and beside sharded ones after the first two were killed."""
    settings = SETTINGS.model_copy(update={"lora": StudentLoraSettings(rank=4)})
    work = (ROWS, student, None, settings, 1)
    one = made(tmp_path, list(train_student_job(*work, tmp_path / "one")))
    kill(2, "fsdp", tmp_path, train_student_job, *work, tmp_path / "fsdp")
    for sharding in ("none", "fsdp"):
        items = run_in_ranks(
            train_student_job, *work, tmp_path / sharding,
            processes=2, sharding=sharding, label="training",
        )  # fmt: skip
        same_curve(list(items), one)
        same_files(tmp_path / sharding / "model", tmp_path / "one" / "model")


def test_two_processes_train_the_router_of_one(
    student: ResolvedModel, router_alone: Path, tmp_path: Path
) -> None:
    work = (PROMPTS, REWARDS, ROUTER, student, 1, POOL, tmp_path / "router")
    items = run_in_ranks(fit_router_job, *work, processes=2, sharding="none", label="training")
    same_curve(list(items), router_alone)
    same_files(tmp_path / "router", router_alone / "router")


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_a_killed_router_training_goes_on_with_another_number_of_processes(
    before: int, after: int, student: ResolvedModel, router_alone: Path, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    work = (PROMPTS, REWARDS, ROUTER, student, 1, POOL, tmp_path / "router")
    kill(before, "none", tmp_path, fit_router_job, *work)
    caplog.set_level("INFO", "persyn_kedro.foundations.progress")
    with step("train_router"):
        items = list(
            run_in_ranks(fit_router_job, *work, processes=after, sharding="none", label="training")
        )
    assert re.search(r": 6 training steps \(", caplog.text)  # of two epochs in three
    same_curve(items, router_alone)
    same_files(tmp_path / "router", router_alone / "router")


def test_a_router_training_of_an_earlier_version_is_not_gone_on_from(
    student: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = set()
    for version in (1, 2):
        monkeypatch.setattr(registry, "VERSION", version)
        settings = ROUTER.model_copy(update={"epochs": 1})
        job = fit_router_job(PROMPTS, REWARDS, settings, student, 1, POOL, tmp_path / "router")
        assert len(list(job)) == 1
        marks.add((tmp_path / "checkpoints" / "fingerprint").read_text())
    assert len(marks) == 2
