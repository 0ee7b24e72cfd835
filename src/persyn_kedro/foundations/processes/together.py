"""Run a training in the processes that ``cluster`` sets: on this machine, or on a Ray cluster."""

import logging
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.processes.ranks import run_in_ranks
from persyn_kedro.foundations.processes.target import current

T = TypeVar("T")

log = logging.getLogger(__name__)


def train_together(
    function: Callable[..., Iterator[T]], *args: Any, checkpoints: Path, sharded: bool, label: str
) -> Generator[T, None, None]:
    """Yield the items of ``function(*args)`` on rank 0; every rank runs the function to its end.

    It finds its rank with ``group.group()``, and resumes from what it left in ``checkpoints``,
    whatever the number of ranks was then.

    Args:
        checkpoints: where it leaves them; on a cluster, a directory that all nodes share.
        sharded: whether ``cluster.sharding`` applies.

    Raises:
        PersynError: a rank's own error, or a rank died.
        RuntimeError: any other exception in a rank, with its traceback.
    """
    settings = current()
    sharding = settings.sharding if sharded else "none"
    if settings.training_on == "machine":
        processes = settings.training_processes
        yield from run_in_ranks(
            function, *args, processes=processes, sharding=sharding, label=label
        )
        return
    from persyn_kedro.foundations.processes.ray.cluster import reachable
    from persyn_kedro.foundations.processes.ray.training import Told, train_on_nodes

    work = reachable(settings), sharding == "fsdp", checkpoints.absolute(), label, function, args
    for item in run_in_child(train_on_nodes, *work, label=label):
        if isinstance(item, Told):
            log.warning("%s: %s", label, item.sentence)
        else:
            yield item
