"""A limit on the processor time that one verification takes."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class OutOfTimeError(BaseException):
    """Not an Exception: what is interrupted may catch those."""


@contextmanager
def processor_time(seconds: float) -> Iterator[None]:
    """Interrupt the block once the process has computed for ``seconds``.

    It is processor time, not a clock, so that a busy machine judges as an idle one does. Off the
    main thread, where signals cannot be handled, and on Windows, there is no limit.

    Raises:
        OutOfTimeError: it was interrupted.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or not hasattr(signal, "setitimer"):
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise OutOfTimeError(f"it took over {seconds:g} s of processor time")

    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
