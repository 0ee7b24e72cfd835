"""What every tracker does; each is called by one thread only (``outbox``)."""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

from persyn_kedro.foundations.progress import Part

Handle = TypeVar("Handle")
Ending = Literal["complete", "failed", "interrupted"]


@dataclass(frozen=True)
class TrackedRun:
    """A run as it starts.

    Attributes:
        name: unique in the project.
        parameters: settings by dotted key; JSON for lists and mappings.
        directory: where a tracker that writes files writes them.
    """

    project: str
    name: str
    parameters: Mapping[str, str]
    directory: Path


@dataclass(frozen=True)
class Measurement:
    """Values by metric; without a ``step``, each metric has only this one value.

    Attributes:
        part: what tells a child run from the others; empty for the run itself.
        time: seconds since the epoch.
    """

    values: Mapping[str, float]
    step: int | None = None
    part: Part = ()
    time: float = field(default_factory=lambda: time.time())


class Tracker(ABC, Generic[Handle]):
    """Follows one run in one tracking tool. Any exception ends the tracking, never the run.

    Type parameter:
        Handle: the tool's own run.
    """

    run: TrackedRun

    def start(self, run: TrackedRun) -> None:
        """Import the library, begin the run and send its parameters."""
        self.run = run
        self._handles: dict[Part, Handle] = {(): self.begin((), run.name, run.parameters)}

    def handle(self, part: Part) -> Handle:
        """Return the run, or the child run for ``part``, begun when it is first needed."""
        if part not in self._handles:
            facts = {name: str(value) for name, value in part}
            self._handles[part] = self.begin(part, f"{self.run.name} {name_of(part)}", facts)
        return self._handles[part]

    def handles(self) -> Iterable[Handle]:
        """Return all runs, the children first."""
        return list(self._handles.values())[::-1]

    @abstractmethod
    def begin(self, part: Part, name: str, parameters: Mapping[str, str]) -> Handle:
        """Begin the run, or a child run."""

    @abstractmethod
    def measure(self, measurements: Sequence[Measurement]) -> None:
        """Send what was measured since the last call, oldest first."""

    @abstractmethod
    def describe(self, facts: Mapping[str, str]) -> None:
        """Add to the run what is known only later: versions, the manifest's place, how it ended."""

    @abstractmethod
    def attach(self, file: Path) -> None:
        """Keep a copy of a report or table, if the tool keeps files."""

    @abstractmethod
    def finish(self, ending: Ending) -> None:
        """End the run and its child runs."""


def name_of(part: Part) -> str:
    """Return a child's name, such as ``strategy persyn, seed 1``."""
    return ", ".join(f"{name} {value}" for name, value in part)


def metric_name(*parts: str) -> str:
    """Return a name that every tracker takes: letters, digits and ``_-./ `` only."""
    return re.sub(r"[^\w\-. /]", "_", "/".join(parts), flags=re.ASCII)


def as_markdown(facts: Mapping[str, str]) -> str:
    """Return a table with a row for each fact."""
    rows = [f"| {name} | {' '.join(text.split())} |" for name, text in facts.items()]
    return "\n".join(["| key | value |", "|---|---|", *(row.replace("\n", " ") for row in rows)])
