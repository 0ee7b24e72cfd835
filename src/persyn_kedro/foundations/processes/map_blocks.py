"""Apply one function to many blocks of items: in a child process, or by actors of a Ray cluster.

Both use the same blocks, so results agree: they depend only on what is computed together.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, TypeVar

from persyn_kedro.foundations import progress
from persyn_kedro.foundations.processes import target as cluster
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.processes.kept import run_kept
from persyn_kedro.foundations.processes.memory import uses_gpu
from persyn_kedro.foundations.settings.cluster import ClusterSettings

T = TypeVar("T")
R = TypeVar("R")

Worker = Callable[[Sequence[T]], Iterable[R]]


def spread(
    make: Callable[..., Worker[T, R]],
    *args: Any,
    items: Sequence[T],
    block: int,
    label: str,
    in_order: bool = True,
    stays: bool = False,
    size: int = 0,
) -> Generator[tuple[int, list[R]], None, None]:
    """Yield the position of the first item and the results of each block of ``block`` items.

    ``make(*args)`` loads a model and returns a function from a block to its results: once in a
    child process, or once in each of ``cluster.actors`` actors. All of it must be picklable.

    Args:
        in_order: False to yield blocks as they are finished.
        stays: whether the child process may stay for a later call with equal ``make`` and ``args``
            (``kept``), which must then mean equal weights.
        size: of the model's files, in bytes.

    Raises:
        PersynError: the worker's own error, or a process died.
    """
    settings = cluster.current()
    if settings.address is None:
        starts = range(0, len(items), block)
        feed = ((start, items[start : start + block]) for start in starts)
        yield from run_kept(
            _Worker, make, args, stays, label=label, feed=feed, key=(make, args), size=size
        )
        return
    from persyn_kedro.foundations.processes.ray.cluster import reachable

    settings = reachable(settings)
    yield from run_in_child(
        _on_the_cluster, make, args, items, block, settings, in_order, label=label
    )


def flat(blocks: Iterable[tuple[int, list[R]]]) -> Iterator[R]:
    """Yield the results of blocks that arrive in order."""
    for _, results in blocks:
        yield from results


class _Worker:
    """What ``make`` has loaded, in a child."""

    def __init__(
        self, make: Callable[..., Worker[Any, Any]], args: tuple[Any, ...], stays: bool
    ) -> None:
        self._work, self._stays = make(*args), stays
        progress.loaded()

    def __call__(
        self, feed: Iterator[tuple[int, Sequence[Any]]]
    ) -> Iterator[tuple[int, list[Any]]]:
        for start, block in feed:
            yield start, list(self._work(block))

    def rest(self) -> bool:
        """On a GPU it ends: its memory belongs to the next model."""
        return self._stays and not uses_gpu()

    def close(self) -> None:
        """Nothing was started."""


def _on_the_cluster(
    make: Callable[..., Worker[T, R]],
    args: tuple[Any, ...],
    items: Sequence[T],
    block: int,
    settings: ClusterSettings,
    in_order: bool,
) -> Iterator[tuple[int, list[R]]]:
    from persyn_kedro.foundations.processes.ray.actors import map_blocks

    blocks = (items[start : start + block] for start in range(0, len(items), block))
    with closing(map_blocks(make, args, blocks, settings, in_order=in_order)) as results:
        for place, found in results:
            yield place * block, found
