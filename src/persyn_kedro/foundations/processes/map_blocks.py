"""Apply one function to many blocks of items: in a child process, or by actors of a Ray cluster.

Both use the same blocks, so results agree: they depend only on what is computed together.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, TypeVar

from persyn_kedro.foundations import progress
from persyn_kedro.foundations.processes import target as cluster
from persyn_kedro.foundations.processes.child import run_in_child
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
) -> Generator[tuple[int, list[R]], None, None]:
    """Yield the position of the first item and the results of each block of ``block`` items.

    ``make(*args)`` loads a model and returns a function from a block to its results: once in a
    child process, or once in each of ``cluster.actors`` actors. All of it must be picklable.

    Args:
        in_order: False to yield blocks as they are finished.

    Raises:
        PersynError: the worker's own error, or a process died.
    """
    settings = cluster.current()
    if settings.address is None:
        yield from run_in_child(_one_by_one, make, args, items, block, label=label)
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


def _one_by_one(
    make: Callable[..., Worker[T, R]], args: tuple[Any, ...], items: Sequence[T], block: int
) -> Iterator[tuple[int, list[R]]]:
    work = make(*args)
    progress.loaded()
    for start in range(0, len(items), block):
        yield start, list(work(items[start : start + block]))


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
