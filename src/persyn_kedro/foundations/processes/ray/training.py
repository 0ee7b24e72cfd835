"""A training on the nodes of a Ray cluster, by Ray Train's ``TorchTrainer``.

Ray places the processes and makes the ``torch.distributed`` group; the training itself is that of
``ranks``. If a node dies, it resumes from its last checkpoint with as many processes as the other
nodes have room for. (Ray Train's own retries would also repeat a user's mistake, and wait for the
number of processes that there was.)
"""

import os
import pickle
import socket
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError, full_disk
from persyn_kedro.foundations.processes.fork_server import QUIET
from persyn_kedro.foundations.processes.group import Group, join
from persyn_kedro.foundations.processes.ray.cluster import connect
from persyn_kedro.foundations.processes.ray.endings import (
    LOOK_SECONDS,
    Patience,
    dead_nodes,
    lost_a_node,
    may_follow_a_death,
    raise_refusal,
    room_for,
    told,
)
from persyn_kedro.foundations.settings.cluster import ClusterSettings

TIMEOUT = 2 * 60 * 60  # seconds: the others wait while rank 0 writes a large model
START_SECONDS = 10 * 60  # until processes that have not all started are asked for again
_STARTING = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"


@dataclass(frozen=True)
class Told:
    """Something that the user should know, among a training's items."""

    sentence: str


def train_on_nodes(
    settings: ClusterSettings,
    sharded: bool,
    checkpoints: Path,
    label: str,
    function: Callable[..., Iterator[Any]],
    args: tuple[Any, ...],
) -> Iterator[Any]:
    """Yield the items of ``function(*args)`` on rank 0, and ``Told``, for example if a node died.

    The items come when it has ended: a training that starts again repeats them.

    Raises:
        PersynError: a rank's own error, a rank died although its node did not, or there has been
            no room for too long (``Patience``).
        RuntimeError: any other exception in a rank, with its traceback.
    """
    connect(settings)
    checkpoints.mkdir(parents=True, exist_ok=True)
    mark = checkpoints / f".shared-{uuid.uuid4().hex}"
    mark.touch()
    work = _Work(pickle.dumps((function, args)), sharded, mark)
    processes = settings.training_processes
    patience, own = Patience(settings, label), float(os.environ.get(_STARTING, START_SECONDS))
    if (room := room_for(settings)) < processes:
        yield Told(f"waiting until {processes} processes find room; there is room for {room}")
    try:
        while True:
            dead = dead_nodes()
            # Asked for all the while: an autoscaling cluster adds nodes for what waits.
            os.environ[_STARTING] = str(max(1.0, min(own, patience.left(processes))))
            found = _attempt(work, processes, settings)
            if isinstance(found, list):
                yield from found
                return
            raise_refusal(found)
            if may_follow_a_death(found) and lost_a_node(dead, found):
                room = room_for(settings)
                processes = max(1, min(processes, room))
                patience.begin()
                yield Told(_after_a_death(processes, room))
            elif not patience.allows(found):
                raise told(found, label)
    finally:
        mark.unlink(missing_ok=True)


def _after_a_death(processes: int, room: int) -> str:
    if room < processes:
        return "a node died, and no other has room for a process; waiting for one"
    return f"a node died; going on from the last checkpoint with processes: {processes}"


@dataclass(frozen=True)
class _Work:
    """What every rank is given."""

    pickled: bytes
    sharded: bool
    mark: Path  # by which a node sees that it shares the disk with the checkpoints
    events: Any = None  # the queue of rank 0's progress


def _attempt(work: _Work, processes: int, settings: ClusterSettings) -> list[Any] | Exception:
    """Return rank 0's items, or why there are none; report its progress meanwhile."""
    import ray
    from ray.util.queue import Queue

    own = {ray._raylet.RAY_NODE_ID_KEY: ray.get_runtime_context().get_node_id()}  # it lives on
    events = Queue(actor_options={"num_cpus": 0, "label_selector": own})
    ended: list[list[Any] | Exception] = []

    def fit() -> None:
        given = replace(work, events=events)
        try:
            with tempfile.TemporaryDirectory(prefix="persyn-ray-") as unused:
                trainer = _trainer(given, processes, settings, unused)
                ended.append(trainer.fit().return_value)
        except Exception as error:
            ended.append(error)

    # A daemon: it ends with this process, and the workers then do too.
    thread = threading.Thread(target=fit, daemon=True)
    thread.start()
    try:
        _relay(events, thread.is_alive)
    finally:
        events.shutdown(force=True)
    return ended[0]


def _trainer(work: _Work, processes: int, settings: ClusterSettings, directory: str) -> Any:
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # user code and models are where the run finds them
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    gpus = {"GPU": 1.0} if settings.gpus else {}
    return TorchTrainer(
        _be_rank,
        train_loop_config={"work": work},
        torch_config=TorchConfig("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout_s=TIMEOUT),
        scaling_config=ScalingConfig(
            num_workers=processes,
            use_gpu=bool(gpus),
            resources_per_worker={"CPU": settings.cpus, **gpus},
            accelerator_type=settings.accelerator,
        ),
        run_config=RunConfig(
            name="training",
            storage_path=directory,
            failure_config=FailureConfig(max_failures=0, controller_failure_limit=0),
        ),
    )


def _be_rank(given: dict[str, Any]) -> list[Any]:
    """On a node: run the function as a rank of Ray's group; return its items on rank 0."""
    import ray.train

    os.environ.update({**QUIET, **os.environ})
    work: _Work = given["work"]
    context = ray.train.get_context()
    rank, size = context.get_world_rank(), context.get_world_size()
    _check_shared(work.mark)
    mine = Group(rank, size, work.sharded and size > 1)
    join(mine)
    if rank:
        progress.mute()
    else:
        progress.tell_parent(work.events.put)
    try:
        function, args = pickle.loads(work.pickled)  # noqa: S301 - from our own driver
        items = [item for item in function(*args) if rank == 0]
    except PersynError:
        raise
    except Exception as error:
        if sentence := full_disk(error):
            raise PersynError(f"Node {socket.gethostname()}: {sentence}") from error
        raise
    mine.barrier()  # a rank that is done must not close its connections early
    return items


def _check_shared(mark: Path) -> None:
    """Refuse a node that would not see the others' checkpoints."""
    if not mark.is_file():
        raise PersynError(
            f"{mark.parent} on node {socket.gethostname()} is not the run's: with "
            "cluster.training_on = cluster, checkpoints must be on a disk that all nodes share at "
            "one path. Set `workspace` in globals.yml to a directory on such a disk."
        )


def _relay(events: Any, running: Callable[[], bool]) -> None:
    """Report rank 0's progress until it has ended; what a killed one was doing is then over."""
    from ray.util.queue import Empty

    opened: list[str] = []
    while True:
        last = not running()
        try:
            kind, name, facts = events.get(timeout=None if last else LOOK_SECONDS, block=not last)
        except Empty:
            if last:
                break
            continue
        name = name or (opened[-1] if opened else "")  # the innermost of that process
        if kind == "open":
            opened.append(name)
        elif kind == "close":
            with suppress(ValueError):
                opened.remove(name)
        progress.hear((kind, name, facts))
    for name in reversed(opened):
        progress.hear(("close", name, {}))
