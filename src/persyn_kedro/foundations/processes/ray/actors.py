"""Blocks of items through Ray Data's ``map_batches``: an actor per device loads its model once."""

import pickle
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes.ray.cluster import connect
from persyn_kedro.foundations.settings.cluster import ClusterSettings

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Columns = dict[str, "np.ndarray"]


def map_blocks(
    make: Callable[..., Callable[[Sequence[Any]], Iterable[Any]]],
    args: tuple[Any, ...],
    blocks: Iterable[Sequence[Any]],
    settings: ClusterSettings,
    actors: int | None = None,
    accelerator: str | None = None,
    in_order: bool = False,
) -> Generator[tuple[int, list[Any]], None, None]:
    """Yield each block's number and the results of ``make(*args)(block)``, as they are finished.

    A block whose node dies is repeated elsewhere. The blocks wait in Ray's object store, which
    spills to disk, not in this process.

    Args:
        actors: at most this many (default: the setting); one is enough to proceed.
        accelerator: the type of their GPUs (default: the setting).
        in_order: yield the blocks in order, whenever they are finished.

    Raises:
        PersynError: the worker's own error.
    """
    import ray

    connect(settings)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = in_order
    waiting = [ray.put(_row(place, block)) for place, block in enumerate(blocks)]
    if not waiting:
        return
    most = min(actors or settings.actors, len(waiting))
    mapped = ray.data.from_arrow_refs(waiting).map_batches(
        _Actor,
        fn_constructor_args=(pickle.dumps((make, args)),),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most, initial_size=most),
        num_cpus=settings.cpus,
        num_gpus=settings.gpus or None,
        accelerator_type=accelerator or settings.accelerator,
    )
    for batch in mapped.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for row in batch.to_pylist():
            if row["refused"] is not None:
                raise PersynError.unpacked(row["refused"])
            yield row["place"], pickle.loads(row["results"])  # noqa: S301 - from our own actor


def _row(place: int, block: Sequence[Any]) -> "pa.Table":
    """Return a table of one row: a block is given to an actor, and retried, as a unit."""
    import pyarrow as pa

    return pa.table({"place": [place], "block": pa.array([pickle.dumps(block)], pa.large_binary())})


class _Actor:
    """Keeps what ``make`` loaded. A refusal is a result: an exception would be retried."""

    def __init__(self, work: bytes) -> None:
        progress.mute()
        make, args = pickle.loads(work)  # noqa: S301 - from our own driver
        self._refused: str | None = None
        # Ray loads in one thread and calls from others. A model would then get two teams of OpenMP
        # threads, more than there are cores: they sleep at every barrier.
        self._thread = ThreadPoolExecutor(1)
        try:
            self._work = self._thread.submit(make, *args).result()
        except PersynError as error:
            self._refused = error.packed()

    def __call__(self, batch: Columns) -> dict[str, list[Any]]:
        results: bytes | None = None
        refused = self._refused
        if refused is None:
            try:
                block = pickle.loads(batch["block"][0])  # noqa: S301
                found = self._thread.submit(lambda: list(self._work(block))).result()
                results = pickle.dumps(found)
            except PersynError as error:
                refused = error.packed()
        return {"place": [batch["place"][0]], "results": [results], "refused": [refused]}
