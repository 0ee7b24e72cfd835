"""Trackers at work: each in a thread of its own, so that a slow or dead one holds up nothing."""

import atexit
import logging
import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from threading import Thread

from persyn_kedro.foundations.secrets import without_credentials
from persyn_kedro.foundations.tracking.base import Ending, Measurement, TrackedRun, Tracker

PATIENCE = 30.0  # seconds in which the trackers may take the rest, at the end of a run

log = logging.getLogger(__name__)

_Work = Measurement | Callable[[Tracker], None] | None  # None: the end


class Outbox:
    """Sends to trackers. After its first failure a tracker gets nothing more: one warning."""

    def __init__(self, trackers: Mapping[str, Tracker], run: TrackedRun) -> None:
        self._lines = [_Line(name, tracker) for name, tracker in trackers.items()]
        self.call(lambda tracker: tracker.start(run))
        for line in self._lines:
            line.start()
        atexit.register(self.close, "interrupted")  # Ctrl-C where nothing tells us

    def measure(self, measurement: Measurement) -> None:
        """Send what was measured, together with what still waits."""
        for line in self._lines:
            line.put(measurement)

    def call(self, work: Callable[[Tracker], None]) -> None:
        """Do ``work`` with each tracker, after all that was sent before."""
        for line in self._lines:
            line.put(work)

    def close(self, ending: Ending) -> None:
        """End the run in all trackers; wait for them, but not for long."""
        atexit.unregister(self.close)
        self.call(lambda tracker: tracker.finish(ending))
        for line in self._lines:
            line.put(None)
        until = time.monotonic() + PATIENCE
        for line in self._lines:
            line.join(max(0.0, until - time.monotonic()))
            if line.is_alive():
                line.give_up(f"it has not taken everything after {PATIENCE:.0f} s")


class _Line(Thread):
    """What waits for one tracker, and the thread that brings it there."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        super().__init__(name=f"tracking-{name}", daemon=True)
        self._tool, self._tracker, self._failed = name, tracker, False
        self._waiting: SimpleQueue[_Work] = SimpleQueue()

    def put(self, work: _Work) -> None:
        if not self._failed:
            self._waiting.put(work)

    def give_up(self, why: str) -> None:
        if not self._failed:
            self._failed = True
            log.warning("Tracking with %s stopped, the run goes on: %s", self._tool, why)

    def run(self) -> None:
        try:
            self._work_off()
        except Exception as error:  # whatever a library raises, the run must not end
            said = without_credentials(f"{type(error).__name__}: {error}")
            self.give_up(" ".join(said.split())[:300])

    def _work_off(self) -> None:
        found: list[Measurement] = []
        while True:
            work = self._waiting.get()
            if isinstance(work, Measurement):
                found.append(work)
                if not self._waiting.empty():
                    continue  # what waits goes in one call
            if found:
                self._tracker.measure(found)
                found = []
            if work is None:
                return
            if not isinstance(work, Measurement):
                work(self._tracker)
