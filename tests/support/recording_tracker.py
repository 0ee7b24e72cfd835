"""A tracker that keeps what it is given, and one that fails or hangs when told to."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from persyn_kedro.foundations.progress import Part
from persyn_kedro.foundations.tracking import Ending, Measurement, Tracker


class RecordingTracker(Tracker[str]):
    """``calls`` has each call's name in order, the rest what came with them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.parameters: dict[str, Mapping[str, str]] = {}
        self.measured: list[Measurement] = []
        self.facts: dict[str, str] = {}
        self.files: dict[str, bytes] = {}
        self.ending: Ending | None = None

    def begin(self, part: Part, name: str, parameters: Mapping[str, str]) -> str:
        self.calls.append("begin")
        self.parameters[name] = parameters
        return name

    def measure(self, measurements: Sequence[Measurement]) -> None:
        self.calls.append("measure")
        for one in measurements:
            self.handle(one.part)
        self.measured += measurements

    def describe(self, facts: Mapping[str, str]) -> None:
        self.calls.append("describe")
        self.facts |= facts

    def attach(self, file: Path) -> None:
        self.calls.append("attach")
        self.files[file.name] = file.read_bytes()

    def finish(self, ending: Ending) -> None:
        self.calls.append("finish")
        self.ending = ending

    def values(self) -> dict[str, float]:
        """Return each metric's last value in the run itself."""
        return {n: v for one in self.measured if not one.part for n, v in one.values.items()}


class DyingTracker(RecordingTracker):
    """Cannot be reached after its start."""

    def measure(self, measurements: Sequence[Measurement]) -> None:
        self.calls.append("measure")
        raise ConnectionError("connection\nrefused")


class HangingTracker(RecordingTracker):
    """Never answers, until the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = threading.Event()

    def measure(self, measurements: Sequence[Measurement]) -> None:
        self.answer.wait()
