"""Training on two Ray nodes, one of which dies: the losses, weights and files of one process."""

import json
import logging
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import transformers

from persyn_kedro.domain.routers.jobs import fit_router_job
from persyn_kedro.domain.student.sft import train_student_job
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes import target as cluster
from persyn_kedro.foundations.processes.group import group
from persyn_kedro.foundations.processes.together import train_together
from persyn_kedro.foundations.progress import step
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from tests.support.ray_nodes import Nodes, leave_mark, two_nodes
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

WAIT = 600.0  # seconds, for a busy machine


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with two_nodes() as running:
        yield running


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> ResolvedModel:
    return tiny_student(tmp_path_factory.mktemp("student") / "model")


def on_nodes(nodes: Nodes, processes: int) -> ClusterSettings:
    more = {"training_on": "cluster", "training_processes": processes, "sharding": "fsdp"}
    return nodes.settings.model_copy(update=more)


def student_job(student: ResolvedModel, directory: Path) -> Iterator[Any]:
    return train_student_job(ROWS, student, None, SETTINGS, 1, directory)


def router_job(student: ResolvedModel, directory: Path) -> Iterator[Any]:
    return fit_router_job(PROMPTS, REWARDS, ROUTER, student, 1, POOL, directory / "router")


def until_a_node_dies(student: ResolvedModel, directory: Path, marks: Path) -> Iterator[Any]:
    """With two ranks: train student and router, then another student, as far as to a checkpoint.

    With the rank that is left, that one is trained to its end.
    """
    mine = group()
    if mine.size == 2:
        for name, job in (("student", student_job), ("router", router_job)):
            items = list(job(student, directory / name))
            if mine.rank == 0:
                made(directory / name, items)
        save = transformers.Trainer._save_checkpoint

        def save_and_wait(*args: Any) -> None:
            save(*args)
            mine.barrier()
            leave_mark(marks)
            time.sleep(WAIT)
            raise AssertionError("No node died.")

        transformers.Trainer._save_checkpoint = save_and_wait
    yield from student_job(student, directory / "killed")


@dataclass(frozen=True)
class Found:
    """What a training whose second node was killed left behind."""

    directory: Path
    items: list[dict[str, Any]]
    log: str


@pytest.fixture(scope="module")
def found(
    nodes: Nodes, student: ResolvedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Found]:
    directory, marks = tmp_path_factory.mktemp("found"), tmp_path_factory.mktemp("marks")
    work = student, directory, marks
    with (
        cluster.using(on_nodes(nodes, 2)),
        ThreadPoolExecutor(1) as thread,
        logged() as lines,
        step("sft"),
    ):
        killed = thread.submit(nodes.kill_second_once_it_works, marks, WAIT)
        items = list(
            train_together(
                until_a_node_dies, *work, checkpoints=directory, sharded=True, label="training"
            )
        )
        killed.result()
    assert len(list(marks.iterdir())) == 2  # each rank had a node of its own
    yield Found(directory, items, "\n".join(lines))


@contextmanager
def logged() -> Iterator[list[str]]:
    """Collect what the package logs."""
    lines: list[str] = []
    handler, package = logging.Handler(logging.INFO), logging.getLogger("persyn_kedro")
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    level = package.level
    package.setLevel(logging.INFO)
    package.addHandler(handler)
    try:
        yield lines
    finally:
        package.removeHandler(handler)
        package.setLevel(level)


@pytest.fixture(scope="module")
def alone(student: ResolvedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of the student."""
    directory = tmp_path_factory.mktemp("alone")
    return made(directory, list(student_job(student, directory)))


def test_two_nodes_train_the_student_of_one_process(found: Found, alone: Path) -> None:
    two = found.directory / "student"
    same_curve(json.loads((two / "curve").read_text()), alone)
    same_files(two / "model", alone / "model")


def test_two_nodes_train_the_router_of_one_process(
    found: Found, student: ResolvedModel, tmp_path: Path
) -> None:
    two = found.directory / "router"
    made(tmp_path, list(router_job(student, tmp_path)))
    same_curve(json.loads((two / "curve").read_text()), tmp_path)
    same_files(two / "router", tmp_path / "router")


def test_a_training_goes_on_without_a_node_that_died(found: Found, alone: Path) -> None:
    assert "training: a node died; going on from the last checkpoint with processes: 1" in found.log
    same_curve(found.items, alone)
    same_files(found.directory / "killed" / "model", alone / "model")
    # The student's 4 and the router's 9, then 2 of each of the other student's epochs.
    assert re.search(r": 17 training steps \(", found.log)
    assert sorted(os.listdir(found.directory)) == ["killed", "router", "student"]


def test_checkpoints_that_a_node_does_not_see_are_refused(
    nodes: Nodes, student: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same path is another directory to the run and to the nodes, as on disks of their own."""
    monkeypatch.chdir(tmp_path)
    own = Path("/proc/self/cwd/workspace")
    told = f"^{own} on node .* is not the run's: with .* Set `workspace` in globals.yml to"
    with cluster.using(on_nodes(nodes, 1)), pytest.raises(PersynError, match=told):
        list(train_together(student_job, student, own, checkpoints=own, sharded=True, label="t"))
    assert os.listdir(tmp_path / "workspace") == []


def test_a_training_that_finds_no_room_ends_in_one_sentence(
    nodes: Nodes, student: ResolvedModel, tmp_path: Path
) -> None:
    own = on_nodes(nodes, 9).model_copy(update={"training_wait_seconds": 0.5})
    told = r"^t: the cluster's nodes have had room for \d of 9 processes"
    with cluster.using(own), pytest.raises(PersynError, match=told):
        list(train_together(student_job, student, tmp_path, checkpoints=tmp_path, sharded=True,
                            label="t"))  # fmt: skip
