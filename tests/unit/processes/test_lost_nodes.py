"""Whether a training ended because a node died, and how long it waits for another one."""

import re
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes.ray import endings, training
from persyn_kedro.foundations.settings.cluster import ClusterSettings

ray = pytest.importorskip("ray")

HEAD = {"NodeID": "head", "Alive": True}
OLD = {"NodeID": "old", "Alive": False}  # died before


def second(alive: bool) -> dict[str, Any]:
    return {"NodeID": "second", "Alive": alive}


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        ([HEAD, OLD, second(True)], [HEAD, OLD, second(False)], True),
        ([HEAD, OLD], [HEAD, OLD, second(False)], True),  # it joined while Ray waited for room
        ([HEAD, OLD], [HEAD, OLD, second(True)], False),
        ([HEAD, OLD], [HEAD, OLD], False),
    ],
)
def test_a_node_is_lost_if_another_one_is_dead_than_before(
    before: list[Any], after: list[Any], lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "DEATH_SECONDS", 0.0)
    monkeypatch.setattr(ray, "nodes", lambda: before)
    dead = endings.dead_nodes()
    monkeypatch.setattr(ray, "nodes", lambda: after)
    assert endings.lost_a_node(dead, RuntimeError("a peer is gone")) == lost


def node(name: str, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"NodeID": name, "Alive": alive, "Resources": resources}


class Cluster:
    """What Ray says of its nodes, and how each attempt to train on them ends."""

    def __init__(self, *nodes: dict[str, Any]) -> None:
        self.nodes, self.now, self.timeouts = list(nodes), 0.0, list[str]()
        self.endings: list[Any] = []

    def attempt(self, *_: Any) -> Any:
        timeout = training.os.environ[training._STARTING]
        self.timeouts.append(timeout)
        end = self.endings.pop(0) if self.endings else self.no_room
        return end() if callable(end) else end

    def no_room(self) -> Exception:
        from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError

        self.now += float(self.timeouts[-1])
        return ControllerFailed(WorkerGroupStartupTimeoutError(2))

    def second_dies(self) -> Exception:
        self.nodes[1]["Alive"] = False
        return RuntimeError("a peer is gone")


class ControllerFailed(Exception):
    """As Ray Train's ``ControllerError``."""

    def __init__(self, failure: Exception) -> None:
        super().__init__(str(failure))
        self.controller_failure = failure


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A head that does no work, and a node with one core."""
    found = Cluster(node("head", CPU=0.0), node("second", CPU=1.0))
    monkeypatch.setattr(ray, "nodes", lambda: found.nodes)
    monkeypatch.setattr(training, "connect", lambda settings: None)
    monkeypatch.setattr(training, "_attempt", found.attempt)
    monkeypatch.setattr(endings.time, "monotonic", lambda: found.now)
    monkeypatch.setattr(endings, "DEATH_SECONDS", -1.0)
    monkeypatch.setenv(training._STARTING, "600")
    return found


def train(place: Path, processes: int = 1, **settings: Any) -> list[Any]:
    own = ClusterSettings(training_processes=processes, training_wait_seconds=1500.0, **settings)
    return list(training.train_on_nodes(own, False, place, "fine-tuning", iter, ()))


def test_a_training_whose_last_node_died_waits_and_then_says_what_is_missing(
    started: Cluster, tmp_path: Path
) -> None:
    started.endings = [started.second_dies]
    told = (
        "fine-tuning: the cluster's nodes have had room for 0 of 1 processes (each takes 1 CPUs) "
        "for 1500 s: add nodes, lower cluster.training_processes or raise "
        "cluster.training_wait_seconds, then run the same command to resume."
    )
    with pytest.raises(PersynError, match=re.escape(told)):
        train(tmp_path)
    assert started.timeouts == ["600.0", "600.0", "600.0", "300.0"]
    assert list(tmp_path.iterdir()) == []


def test_it_goes_on_once_a_node_joins(started: Cluster, tmp_path: Path) -> None:
    def joins() -> Exception:
        started.nodes.append(node("third", CPU=1.0))
        return started.no_room()

    started.endings = [started.second_dies, joins, ["item"]]
    waits, item = train(tmp_path)
    assert waits.sentence == "a node died, and no other has room for a process; waiting for one"
    assert item == "item"


def test_a_type_of_gpu_that_no_node_has_is_named(started: Cluster, tmp_path: Path) -> None:
    told = r"room for 0 of 2 processes \(each takes 1 CPUs and one GPU of type H100\)"
    with pytest.raises(PersynError, match=told):
        train(tmp_path, 2, gpus=1.0, accelerator="H100")


def test_room_that_other_work_takes_is_waited_for(started: Cluster, tmp_path: Path) -> None:
    started.endings = [started.no_room] * 5 + [["item"]]
    assert train(tmp_path) == ["item"]
    assert set(started.timeouts) == {"600.0"}


def test_processes_that_cannot_start_are_not_started_for_ever(
    started: Cluster, tmp_path: Path
) -> None:
    from ray.train.v2._internal.exceptions import WorkerGroupStartupFailedError

    started.endings = [ControllerFailed(WorkerGroupStartupFailedError("no"))] * 9
    with pytest.raises(PersynError, match="^fine-tuning: a process died on the cluster as it star"):
        train(tmp_path)
    assert len(started.timeouts) == endings.STARTS
