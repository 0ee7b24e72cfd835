"""Process several items in parallel threads; the first failure cancels the others."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from persyn_kedro.foundations.processes.child import Ended, stop_with

T = TypeVar("T")


def for_each(work: Callable[[T], None], items: Sequence[T], at_once: int) -> None:
    """Call ``work`` for each item, ``at_once`` in parallel; 1 runs them one by one in this thread.

    Raises:
        Exception: the first one raised by ``work``, after the other calls have ended.
    """
    if at_once == 1 or len(items) < 2:
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

    with ThreadPoolExecutor(at_once) as pool:
        running = [pool.submit(run, item) for item in items]
        try:
            for ended in as_completed(running):
                ended.result()
        except BaseException:  # Ctrl-C too
            stop.set()
            raise
