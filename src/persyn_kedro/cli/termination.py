"""SIGTERM, which schedulers end a run by, treated as Ctrl-C is."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from persyn_kedro.foundations.errors import Terminated


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """End the block with ``Terminated`` at the first SIGTERM; a second one kills the process.

    Without it a run could neither save the answers in progress nor tell trackers that it ended.
    What the process was started to ignore, it ignores.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is end:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
