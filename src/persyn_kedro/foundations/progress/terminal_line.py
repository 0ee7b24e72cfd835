"""A line at the bottom of the terminal, redrawn in place by rich below the log."""

import multiprocessing
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

BAR_WIDTH = 12
WIDE = 100  # columns that leave room for a bar
ERASE = "\r\x1b[2K"  # erases the cursor's line


class TerminalLine:
    """The line: ``text()``, and a bar if ``share()`` returns (done, total)."""

    def __init__(
        self, text: Callable[[], str], share: Callable[[], tuple[int, int] | None]
    ) -> None:
        self._text, self._share = text, share
        self._live: Live | None = None

    @property
    def is_shown(self) -> bool:
        return self._live is not None

    def show(self, wanted: bool) -> None:
        """Start drawing the line, if there is a terminal, or remove it."""
        if wanted and self._live is None and _has_terminal():
            from rich.live import Live

            # On the log handler's console, so that neither garbles the other.
            self._live = Live(get_renderable=self._render, transient=True)
            self._live.start(refresh=True)
            self._live.console.show_cursor(True)  # a killed run could not restore it
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
        share = self._share()
        if share and width >= WIDE:
            cells.insert(0, ProgressBar(total=share[1], completed=share[0], width=BAR_WIDTH))
            row.add_column(width=BAR_WIDTH)
        row.add_row(*cells)
        return Constrain(row, width - len("^C") - 1)  # Ctrl-C's echo stays on the line


def write_over_the_line() -> None:
    """In a child: what is written to the terminal replaces the parent's line.

    The parent redraws the line below it.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream.isatty():
            setattr(sys, name, _OverTheLine(stream))


class _OverTheLine:
    """A terminal's stream; each write first erases the line that it starts on."""

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


def _has_terminal() -> bool:
    """Return whether the log goes to a terminal on which a line can be redrawn.

    rich takes $FORCE_COLOR, which CI sets, for a terminal.
    """
    if multiprocessing.parent_process() is not None:
        return False
    from rich import get_console

    console = get_console()
    return console.is_interactive and not console.is_dumb_terminal and console.file.isatty()
