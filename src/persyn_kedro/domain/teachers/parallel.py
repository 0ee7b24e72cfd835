"""Several pieces of work at once, each in a thread; the first that fails calls the others off."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from persyn_kedro.foundations.processes.child import Ended, stop_with

T = TypeVar("T")


def for_each(work: Callable[[T], None], items: Sequence[T], at_once: int) -> None:
    """Call ``work`` for each item, ``at_once`` at a time: one by one in this thread for 1.

    Raises:
        Exception: the first that a piece of work raised, once the others have ended too.
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
