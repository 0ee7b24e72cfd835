"""Progress: one line on a terminal, a line a minute in a log, a summary of each step.

A child process reports to its parent (``foundations.processes.child``). Rates exclude the loading
of models. Nothing here affects a result.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from persyn_kedro.foundations.progress.counts import Work, clock
from persyn_kedro.foundations.progress.terminal_line import TerminalLine, write_over_the_line

T = TypeVar("T")

TOLD_EVERY = 60.0  # seconds between lines without a terminal

log = logging.getLogger(__package__)

Event = tuple[str, str, dict[str, Any]]  # event, watch ("": the innermost), details
Part = tuple[tuple[str, Any], ...]  # see ``part``; empty outside
Listener = Callable[[Part, int, dict[str, float]], None]


@dataclass(frozen=True)
class Watch:
    """A piece of work in progress; report to it what is done."""

    name: str

    def begin(self, total: int | None = None, done: int = 0) -> None:
        """Report that the models are loaded, how much work there is, and how much is done."""
        _tell("begin", self.name, total=total, done=done)

    def advance(self, items: int = 1, note: str = "", **more: float) -> None:
        """Report what was done since the last report.

        Args:
            items: in the watch's unit.
            note: shown as is, such as the loss.
            more: ``skipped`` items that took no work, ``tokens`` (of responses, or trained on),
                ``prompt_tokens``, ``cost``, ``failed`` items, including skipped ones.
        """
        _tell("advance", self.name, items=items, note=note, **more)

    def measure(self, step: int, values: Mapping[str, float]) -> None:
        """Report what was measured at a step, such as the loss, to whoever listens."""
        _tell("measured", self.name, step=step, values=dict(values))

    def each(
        self,
        items: Iterable[T],
        tokens: Callable[[T], int] = lambda item: 0,
        failed: Callable[[T], bool] = lambda item: False,
    ) -> Iterator[T]:
        """Yield the items, counting each as done."""
        for item in items:
            self.advance(tokens=tokens(item), failed=failed(item))
            yield item


@contextmanager
def watching(label: str, total: int | None, unit: str) -> Iterator[Watch]:
    """Watch a piece of work; ``unit`` is the plural name of its items."""
    watch = Watch(f"{os.getpid()}-{next(_numbers)}")
    _tell("open", watch.name, label=label, total=total, unit=unit)
    around = _innermost.set(watch.name)
    try:
        yield watch
    finally:
        with suppress(ValueError):  # a generator may be closed in another context
            _innermost.reset(around)
        _tell("close", watch.name)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Watch a step; a summary is logged when it ends, for any reason."""
    begun = time.monotonic()
    _board.start(name)
    ending = "Stopped {} after"
    try:
        yield
        ending = "Done {} in"
    finally:
        parts = _board.stop()
        seconds = f"{time.monotonic() - begun:.1f} s"
        log.info("%s", ": ".join([f"{ending.format(name)} {seconds}", *filter(None, [parts])]))


@contextmanager
def part(**facts: Any) -> Iterator[None]:
    """Say of what is measured in this thread, and in its children, what it belongs to."""
    around = _part.set(tuple(facts.items()))
    try:
        yield
    finally:
        _part.reset(around)


def listen(listener: Listener | None) -> None:
    """Call ``listener(part, step, values)`` for what is measured from now on; None: nobody."""
    _board.listener = listener


def loaded() -> None:
    """Report that the innermost watch's model is loaded: rates count from here."""
    _tell("begin", "")


def add_tokens(tokens: int) -> None:
    """Add tokens to the innermost watch."""
    _tell("advance", "", tokens=tokens)


def came_from_store(items: int, unit: str) -> None:
    """Add to the step's summary the items that did not have to be computed."""
    if items:
        _tell("stored", unit, items=items)


def tell_parent(send: Callable[[Event], None]) -> None:
    """In a child: send every event to the parent, which calls :func:`hear`."""
    global _hear
    _hear = send
    write_over_the_line()


def mute() -> None:
    """In a child that is being ended: send nothing more, as a full pipe would block it."""
    global _hear
    _hear = lambda event: None  # noqa: E731


def hear(event: Event, pid: int | None = None) -> None:
    """Process an event, from here or from child ``pid`` of this thread."""
    kind, name, facts = event
    if not name:  # the child's innermost watch, or that of the thread that runs it
        own = [watch for watch in _board.names() if watch.startswith(f"{pid}-")]
        name = own[-1] if own else _innermost.get()
    _hear((kind, name, facts))


def forget(pid: int | None) -> None:
    """Close the watches of a child that has ended."""
    for name in _board.names():
        if name.startswith(f"{pid}-"):
            _tell("close", name)


class _Board:
    """All work in progress in this process and its children, and the line that shows it."""

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self._works: dict[str, Work] = {}
        self._step: Work | None = None
        self._counts: dict[str, Work] = {}  # the step's totals, by unit
        self._line = TerminalLine(self._text, self._share)
        self._told = 0.0
        self._lock = threading.RLock()

    def names(self) -> list[str]:
        return list(self._works)

    def start(self, name: str) -> None:
        self._step, self._counts = Work(name, None, ""), {}
        self._told = time.monotonic()
        self._show()

    def stop(self) -> str:
        """End the step and return what was done in it."""
        for name in self.names():
            self._close(name)
        self._step = None
        self._show()
        return "; ".join(work.summary() for work in self._counts.values())

    def hear(self, event: Event) -> None:
        if event[0] == "measured":
            if self.listener:
                self.listener(_part.get(), event[2]["step"], event[2]["values"])
            return
        with self._lock:  # several threads may call models
            self._take(*event)

    def _take(self, kind: str, name: str, facts: dict[str, Any]) -> None:
        if kind == "open":
            self._told = self._told if self._works or self._step else time.monotonic()
            self._works[name] = Work(**facts)
            self._show()
        elif kind == "close":
            self._close(name)
            self._show()
        elif kind == "stored":
            self._of_step(name).stored += facts["items"]
        elif work := self._works.get(name or next(reversed(self._works), "")):
            (work.begin if kind == "begin" else work.add)(**facts)
            self._log()

    def _close(self, name: str) -> None:
        work = self._works.pop(name, None)
        if work is None:
            return
        total = self._of_step(work.unit)
        total.add(
            work.items,
            tokens=work.tokens,
            prompt_tokens=work.prompt_tokens,
            cost=work.cost,
            failed=work.failed,
            seconds=time.monotonic() - work.begun,
        )

    def _of_step(self, unit: str) -> Work:
        return self._counts.setdefault(unit, Work("", None, unit))

    def _log(self) -> None:
        """Without a terminal, log the progress once every ``TOLD_EVERY`` seconds."""
        now = time.monotonic()
        if not self._line.is_shown and now - self._told >= TOLD_EVERY:
            self._told = now
            log.info("%s", self._text())

    def _text(self) -> str:
        works = list(self._works.values())
        if not works:
            begun = self._step
            return f"{begun.label}: {clock(time.monotonic() - begun.begun)}" if begun else ""
        around = [f"{work.unit} {work.counts()}, " for work in works[:-1]]
        return "".join(around) + works[-1].line()

    def _show(self) -> None:
        """Draw the line while work is in progress, if there is a terminal."""
        self._line.show(bool(self._works or self._step))

    def _share(self) -> tuple[int, int] | None:
        """Return how much is done, and out of how much."""
        work = next(reversed(list(self._works.values())), None)
        return (work.done, work.total) if work and work.total else None


def _tell(kind: str, name: str, **facts: Any) -> None:
    _hear((kind, name, facts))


_numbers = count()
_innermost: ContextVar[str] = ContextVar("innermost", default="")
_part: ContextVar[Part] = ContextVar("part", default=())
_board = _Board()
_hear: Callable[[Event], None] = _board.hear
