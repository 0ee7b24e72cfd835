"""How far the work is: one line on a terminal, a line a minute in a log, a summary of each step.

On a terminal the line is redrawn in place by rich, on the console that the log is printed on, so
that neither tears the other. What happens in a child process is told to its parent
(``foundations.child_process``). Nothing of this reaches a result.
"""

import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

T = TypeVar("T")

TOLD_EVERY = 60.0  # seconds between lines where there is no terminal
BAR_WIDTH = 12
ERASE = "\r\x1b[2K"  # the line that the cursor is on
WIDE = 100  # columns of a terminal that has room for a bar

log = logging.getLogger(__name__)

Event = tuple[str, str, dict[str, Any]]  # what happened, to which watch ("": the innermost), how


@dataclass(frozen=True)
class Watch:
    """A piece of work under way, to be told of what is done."""

    name: str

    def begin(self, total: int | None = None, done: int = 0) -> None:
        """Say that the models are loaded, and how much there is and was done before."""
        _tell("begin", self.name, total=total, done=done)

    def advance(self, items: int = 1, note: str = "", **more: float) -> None:
        """Add what was done since.

        Args:
            items: in the watch's unit.
            note: shown as it is, such as the loss.
            more: ``skipped`` items that took nothing, ``tokens`` (of responses, or trained on),
                ``prompt_tokens``, ``cost``, ``failed`` items, skipped ones too.
        """
        _tell("advance", self.name, items=items, note=note, **more)

    def each(
        self,
        items: Iterable[T],
        tokens: Callable[[T], int] = lambda item: 0,
        failed: Callable[[T], bool] = lambda item: False,
    ) -> Iterator[T]:
        """Yield the items, each of them as one that is done."""
        for item in items:
            self.advance(tokens=tokens(item), failed=failed(item))
            yield item


@contextmanager
def watching(label: str, total: int | None, unit: str) -> Iterator[Watch]:
    """Watch a piece of work; ``unit`` names its items, in the plural."""
    watch = Watch(f"{os.getpid()}-{next(_numbers)}")
    _tell("open", watch.name, label=label, total=total, unit=unit)
    try:
        yield watch
    finally:
        _tell("close", watch.name)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Watch a step: at its end, whatever that is, a summary is logged."""
    begun = time.monotonic()
    _board.start(name)
    ending = "Broke off {} after"
    try:
        yield
        ending = "Done {} in"
    finally:
        parts = _board.stop()
        seconds = f"{time.monotonic() - begun:.1f} s"
        log.info("%s", ": ".join([f"{ending.format(name)} {seconds}", *filter(None, [parts])]))


def loaded() -> None:
    """Say that the model for the innermost watch is loaded: rates are counted from here."""
    _tell("begin", "")


def add_tokens(tokens: int) -> None:
    """Add to the innermost watch's tokens."""
    _tell("advance", "", tokens=tokens)


def came_from_store(items: int, unit: str) -> None:
    """Add to the step's summary what did not have to be done."""
    if items:
        _tell("stored", unit, items=items)


def tell_parent(send: Callable[[Event], None]) -> None:
    """In a child: send all that happens to the parent, which calls :func:`hear`.

    What a library writes to the terminal here takes the place of the parent's line, which is drawn
    again below it.
    """
    global _hear
    _hear = send
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream.isatty():
            setattr(sys, name, _OverTheLine(stream))


def mute() -> None:
    """In a child that is being ended: nobody reads any more, and a full pipe would hold it up."""
    global _hear
    _hear = lambda event: None  # noqa: E731


def hear(event: Event) -> None:
    """Take what happened, here or in a child."""
    _hear(event)


def forget(pid: int | None) -> None:
    """Close the watches of a child that has ended."""
    for name in _board.names():
        if name.startswith(f"{pid}-"):
            _tell("close", name)


class _OverTheLine:
    """A terminal's stream: what is written erases the line that it begins on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._at_start = stream, True

    def write(self, text: str) -> int:
        if self._at_start and text:
            self._stream.write(ERASE)
        self._at_start = text.endswith("\n") if text else self._at_start
        return self._stream.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@dataclass
class _Work:
    """What a watch has seen. ``done`` holds ``items``, those skipped, and those of earlier runs."""

    label: str
    total: int | None
    unit: str
    done: int = 0
    items: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    cost: float = 0.0
    failed: int = 0
    stored: int = 0
    note: str = ""
    seconds: float = 0.0
    begun: float = field(default_factory=lambda: time.monotonic())
    last: float = 0.0  # when an item was done

    def add(self, items: int = 0, skipped: int = 0, note: str = "", **more: float) -> None:
        self.items += items
        self.done += items + skipped
        self.last = time.monotonic() if items else self.last
        self.note = note or self.note
        for name, value in more.items():
            setattr(self, name, getattr(self, name) + value)

    def begin(self, total: int | None = None, done: int = 0) -> None:
        self.total = self.total if total is None else total
        self.done += done
        self.begun = time.monotonic()

    def counts(self) -> str:
        """Return how far it is among other work: that around it."""
        return f"{self.done:,}" + ("" if self.total is None else f"/{self.total:,}")

    def line(self) -> str:
        """Return how far it is, how fast, what it took, and how long it will take still."""
        seconds = time.monotonic() - self.begun
        if self.items:  # up to the last one, or to where the next was due
            seconds = max(self.last - self.begun, seconds * self.items / (self.items + 1))
        if self.items and self.total:
            clock = f"{_clock(seconds * max(0, self.total - self.done) / self.items)} left"
        else:
            clock = f"for {_clock(seconds)}"
        amounts = self._amounts(seconds, "tokens")
        parts = [f"{self.counts()} {self.unit}", clock, *amounts, self.note]
        return f"{self.label}: {', '.join(filter(None, parts))}"

    def summary(self) -> str:
        """Return what was done, as a part of the step's summary."""
        kind = "completion tokens" if self.prompt_tokens else "tokens"
        rate, *amounts = self._amounts(self.seconds, kind)
        if self.prompt_tokens:
            amounts.insert(0, f"{self.prompt_tokens:,} prompt tokens")
        done = f"{self.items:,} {self.unit}" + (f" ({rate})" if rate else "")
        stored = f"{self.stored:,} from the store" if self.stored else ""
        return ", ".join(filter(None, [done, *amounts, stored]))

    def _amounts(self, seconds: float, kind: str) -> list[str]:
        parts = [_rate(self.items, seconds)]
        if self.tokens:
            parts.append(f"{self.tokens:,} {kind} ({_rate(self.tokens, seconds)})")
        if self.cost:
            parts.append(f"cost {_money(self.cost)}")
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        return parts


class _Board:
    """All work under way in this process and its children, and the line that tells of it."""

    def __init__(self) -> None:
        self._works: dict[str, _Work] = {}
        self._step: _Work | None = None
        self._counts: dict[str, _Work] = {}  # of the step, by unit
        self._live: Live | None = None
        self._told = 0.0

    def names(self) -> list[str]:
        return list(self._works)

    def start(self, name: str) -> None:
        self._step, self._counts = _Work(name, None, ""), {}
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
        kind, name, facts = event
        if kind == "open":
            self._told = self._told if self._works or self._step else time.monotonic()
            self._works[name] = _Work(**facts)
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

    def _of_step(self, unit: str) -> _Work:
        return self._counts.setdefault(unit, _Work("", None, unit))

    def _log(self) -> None:
        """Without a terminal, say how far it is once in ``TOLD_EVERY`` seconds."""
        now = time.monotonic()
        if self._live is None and now - self._told >= TOLD_EVERY:
            self._told = now
            log.info("%s", self._text())

    def _text(self) -> str:
        works = list(self._works.values())
        if not works:
            begun = self._step
            return f"{begun.label}: {_clock(time.monotonic() - begun.begun)}" if begun else ""
        around = [f"{work.unit} {work.counts()}, " for work in works[:-1]]
        return "".join(around) + works[-1].line()

    def _show(self) -> None:
        """Draw the line while something is under way, if there is a terminal to draw it on."""
        wanted = bool(self._works or self._step)
        if wanted and self._live is None and _has_terminal():
            from rich.live import Live

            self._live = Live(get_renderable=self._render, transient=True)
            self._live.start(refresh=True)
            self._live.console.show_cursor(True)  # a killed run cannot bring it back
        elif self._live is not None and not wanted:
            self._live.stop()
            self._live = None

    def _render(self) -> "RenderableType":
        from rich import get_console
        from rich.constrain import Constrain
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        width = get_console().width
        row = Table.grid(padding=(0, 1))
        cells: list[RenderableType] = [Text(self._text(), no_wrap=True, overflow="ellipsis")]
        work = next(reversed(list(self._works.values())), None)
        if work and work.total and width >= WIDE:
            cells.insert(0, ProgressBar(work.total, work.done, width=BAR_WIDTH))
            row.add_column(width=BAR_WIDTH)
        row.add_row(*cells)
        return Constrain(row, width - len("^C") - 1)  # Ctrl-C's echo stays on the line


def _has_terminal() -> bool:
    """Tell whether the log goes to a terminal on which a line can be redrawn.

    rich alone takes $FORCE_COLOR, which CI sets, for one.
    """
    if multiprocessing.parent_process() is not None:
        return False
    from rich import get_console

    console = get_console()
    return console.is_interactive and not console.is_dumb_terminal and console.file.isatty()


def _rate(amount: float, seconds: float) -> str:
    rate = amount / seconds if seconds > 0 else 0.0
    if not rate:
        return ""
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s" if rate >= 1 else f"{rate:.2g}/s"


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _money(cost: float) -> str:
    return f"{cost:,.2f}" if cost >= 1 else f"{cost:.3g}"


def _tell(kind: str, name: str, **facts: Any) -> None:
    _hear((kind, name, facts))


_numbers = count()
_board = _Board()
_hear: Callable[[Event], None] = _board.hear
