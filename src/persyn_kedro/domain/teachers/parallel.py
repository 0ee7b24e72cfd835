"""Process several items in parallel threads; the first failure cancels the others."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from typing import TypeVar

from persyn_kedro.foundations.processes.child import Ended, stop_with

T = TypeVar("T")


def for_each(work: Callable[[T], None], queues: Sequence[tuple[Sequence[T], int]]) -> None:
    """Call ``work`` for each item of several queues, all of them in parallel.

    Args:
        queues: (items, how many of them in parallel). If that is one in all, the items are
            processed one by one in this thread.

    Raises:
        Exception: the first one raised by ``work``, after the other calls have ended.
    """
    queues = [(items, min(at_once, len(items))) for items, at_once in queues if items]
    if sum(at_once for _, at_once in queues) < 2:
        for items, _ in queues:
            for item in items:
                work(item)
        return
    stop = threading.Event()

    def run(item: T) -> None:
        if stop.is_set():
            return
        stop_with(stop)
        try:
            work(item)
        except Ended:
            return

    with ExitStack() as pools:
        running = []
        for items, at_once in queues:
            pool = pools.enter_context(ThreadPoolExecutor(at_once))
            running += [pool.submit(run, item) for item in items]
        try:
            for ended in as_completed(running):
                ended.result()
        except BaseException:  # Ctrl-C too
            stop.set()
            raise
