"""The limit is processor time: waiting costs nothing, computing is interrupted."""

import signal
import threading
import time

import pytest

from persyn_kedro.domain.quality.time_limit import OutOfTimeError, processor_time


def compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_computing_is_interrupted_even_where_exceptions_are_caught() -> None:
    with pytest.raises(OutOfTimeError, match=r"it took over 0\.05 s of processor time"):
        with processor_time(0.05):
            while True:
                try:
                    compute(10)
                except Exception:  # noqa: S112 - as some libraries do
                    continue


def test_waiting_as_on_a_busy_machine_is_not() -> None:
    with processor_time(0.05):
        time.sleep(0.2)


def test_afterwards_all_is_as_before() -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    with processor_time(5):
        pass
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) is before
    with pytest.raises(OutOfTimeError), processor_time(0.01):
        compute(5)
    assert signal.getsignal(signal.SIGVTALRM) is before


def test_off_the_main_thread_there_is_no_limit() -> None:
    done = []

    def work() -> None:
        with processor_time(0.01):
            compute(0.05)
        done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert done == [True]
