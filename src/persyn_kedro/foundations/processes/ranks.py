"""Run a generator function in several processes of this machine that train one model together.

Each process is a rank of one ``torch.distributed`` group (NCCL between GPUs, Gloo between CPUs),
which Transformers' trainer, accelerate and ``fully_shard`` find there. The ranks meet over a file
and communicate over the loopback interface only. (On several machines Ray Train starts them,
``ray.training``. Here Ray may not be installed; and ``torchrun``'s workers outlive a killed
``torchrun``, hand over no items, progress or sentences, and each import all libraries anew.)
"""

import atexit
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Literal, TypeVar

from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes.child import STOP_SECONDS, Child, run_in_child, start_child
from persyn_kedro.foundations.processes.group import Group, join

T = TypeVar("T")

log = logging.getLogger(__name__)

LOOPBACK = {"linux": "lo", "darwin": "lo0"}
GRACE_SECONDS = 5.0  # to find the cause: when a rank dies the others fail too, some sooner


def run_in_ranks(
    function: Callable[..., Iterator[T]],
    *args: Any,
    processes: int,
    sharding: Literal["none", "fsdp"],
    label: str,
) -> Generator[T, None, None]:
    """Yield the items of ``function(*args)`` on rank 0; every rank runs the function to its end.

    With one process this is ``run_in_child``. No rank outlives another, or this process.

    Raises:
        PersynError: a rank's own error, or a rank died.
        RuntimeError: any other exception in a rank, with its traceback.
    """
    if processes == 1:
        yield from run_in_child(function, *args, label=label)
        return
    ranks: list[_Rank] = []
    stop = partial(_stop, ranks)
    atexit.register(stop)
    with tempfile.TemporaryDirectory(prefix="persyn-ranks-") as meeting:
        try:
            for number in range(processes):
                mine = Group(number, processes, sharding == "fsdp")
                work = (mine, Path(meeting) / "store", function, args)
                name = f"{label}, rank {number} of {processes}"
                ranks.append(_Rank(start_child(_be_rank, work, _variables(mine), name)))
            yield from _items(ranks)
        finally:
            stop()
            atexit.unregister(stop)


@dataclass
class _Rank:
    """A rank as the parent sees it."""

    child: Child
    peak: int = 0  # memory, in bytes

    def hear(self) -> tuple[str, Any]:
        kind, payload, self.peak = self.child.receive()
        return kind, payload


def _items(ranks: Sequence[_Rank]) -> Iterator[Any]:
    """Yield what the ranks yield until all have ended."""
    running = list(ranks)
    while running:
        for rank in _ready(running, None):
            kind, payload = rank.hear()
            if kind == "end":
                rank.child.process.join(STOP_SECONDS)
                running.remove(rank)
            elif kind == "refused":
                raise PersynError.unpacked(payload)
            elif kind == "failed":
                running.remove(rank)
                _raise_the_cause(running)
                raise RuntimeError(f"{rank.child.label} failed in its process:\n{payload}")
            elif kind == "progress":
                progress.hear(payload)
            else:
                yield payload


def _raise_the_cause(running: list[_Rank]) -> None:
    """Raise the error of the rank that refused or died; the others only failed as a consequence."""
    until = time.monotonic() + GRACE_SECONDS
    while running and (left := until - time.monotonic()) > 0:
        for rank in _ready(running, left):
            kind, payload = rank.hear()
            if kind == "refused":
                raise PersynError.unpacked(payload)
            if kind in ("end", "failed"):
                running.remove(rank)


def _ready(ranks: Sequence[_Rank], seconds: float | None) -> list[_Rank]:
    """Return the ranks that have sent something, or died; wait for one."""
    found = wait([rank.child.pipe for rank in ranks], seconds)
    return [rank for rank in ranks if rank.child.pipe in found]


def _stop(ranks: Sequence[_Rank]) -> None:
    """End all ranks at once: a rank that waits for another ignores anything but SIGKILL."""
    for rank in ranks:
        rank.child.process.kill()
    for rank in ranks:
        process = rank.child.process
        process.join()
        rank.child.close()
        progress.forget(process.pid)
        peak = f", peak memory {rank.peak / 2**30:.2f} GiB" if rank.peak else ""
        log.info("%s: process %s ended%s", rank.child.label, process.pid, peak)


def _be_rank(
    mine: Group, store: Path, function: Callable[..., Iterator[Any]], args: tuple[Any, ...]
) -> Iterator[Any]:
    """Join the group, run the function, and yield its items on rank 0."""
    join(mine)
    if mine.rank:
        progress.mute()
    _meet(mine, store)
    for item in function(*args):
        if mine.rank == 0:
            yield item
    _leave()


def check_gpus(processes: int) -> None:
    """Refuse more processes than this machine has GPUs, if it has any; does not initialise CUDA.

    Raises:
        PersynError: says how many GPUs there are.
    """
    import torch

    found = torch.cuda.device_count() or int(torch.backends.mps.is_available())
    if 0 < found < processes:
        raise PersynError(
            f"cluster.training_processes is {processes}, but this machine has {found} GPU(s) and "
            "each process needs its own. Lower it."
        )


def _meet(mine: Group, store: Path) -> None:
    import torch
    from torch import distributed

    backend = "gloo"
    if torch.cuda.is_available():
        check_gpus(mine.size)
        torch.cuda.set_device(mine.rank)
        backend = "cpu:gloo,cuda:nccl"
    threads = max(1, torch.get_num_threads() // mine.size)
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # if unset, accelerate would choose another number
    distributed.init_process_group(
        backend,
        init_method=f"file://{store}",
        rank=mine.rank,
        world_size=mine.size,
        timeout=timedelta(hours=2),  # the others wait while rank 0 writes a large model
    )


def _leave() -> None:
    """Leave the group together: a rank that is done must not close its connections early."""
    from torch import distributed

    distributed.barrier()
    distributed.destroy_process_group()


def _variables(mine: Group) -> dict[str, str]:
    """Return the variables that accelerate and Transformers expect from a launcher."""
    loopback = LOOPBACK.get(sys.platform)
    return {
        "RANK": str(mine.rank),
        "LOCAL_RANK": str(mine.rank),
        "WORLD_SIZE": str(mine.size),
        "LOCAL_WORLD_SIZE": str(mine.size),
        **({"GLOO_SOCKET_IFNAME": loopback} if loopback else {}),
    }
