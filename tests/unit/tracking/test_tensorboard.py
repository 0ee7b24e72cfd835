"""TensorBoard's event files: its library writes them from a thread of its own."""

import atexit
import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.record_writer import RecordWriter

from persyn_kedro.foundations.tracking.base import Measurement, TrackedRun
from persyn_kedro.foundations.tracking.tensorboard import TensorboardTracker


def full() -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_ends_the_files_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write, here = RecordWriter.write, threading.current_thread()
    others: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", others.append)
    monkeypatch.setattr(
        RecordWriter,
        "write",
        lambda *a: write(*a) if threading.current_thread() is here else full(),
    )
    tracker = TensorboardTracker()
    with caplog.at_level(logging.WARNING):
        tracker.start(TrackedRun("project", "run", {"seed": "7"}, tmp_path))
        tracker.measure([Measurement({"loss": 1.0}, 1)])
        deadline = time.monotonic() + 20
        while not caplog.messages and time.monotonic() < deadline:
            time.sleep(0.02)
        writers = [
            t for t in threading.enumerate() if type(t).__module__.startswith("tensorboardX")
        ]
        for thread in writers:
            thread.join(1)
    assert caplog.messages == [
        "TensorBoard's files end here, the run goes on: [Errno 28] No space left on device"
    ]
    assert "Traceback" not in capsys.readouterr().err and not others

    own = threading.Thread(target=full)
    own.start()
    own.join()
    assert [args.thread for args in others] == [own]  # what is not TensorBoard's is told as ever


def test_files_that_cannot_be_closed_are_not_tried_again_at_exit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    tracker = TensorboardTracker()
    tracker.start(TrackedRun("project", "run", {"seed": "7"}, tmp_path))
    events = tracker.handle(()).file_writer.event_writer
    monkeypatch.setattr(EventsWriter, "flush", lambda _: full())
    with pytest.raises(OSError, match="No space"):
        tracker.finish("finished")
    (cleanup,) = at_exit
    cleanup()  # where it raises, Python prints a traceback
    monkeypatch.undo()
    events._closed = False
    events.close()  # its thread
