"""Figures as PNG bytes: the same figure gives the same bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ["#3b6fd4", "#d4763b", "#3ba272", "#8e5bb5", "#c2455a", "#7a7a7a", "#b8a13a", "#4aa3b5"]
_MARKERS, _HATCHES = ["o", "^", "v", "D", "P", "X"], ["", "///", "...", "xxx"]


def style(place: int) -> tuple[str, str, str]:
    """Return colour, marker and hatch of the so manieth thing: no two of the first 32 are alike."""
    lap = place // len(_COLOURS)
    return (
        _COLOURS[place % len(_COLOURS)],
        _MARKERS[lap % len(_MARKERS)],
        _HATCHES[lap % len(_HATCHES)],
    )


class Canvas:
    """Axes to draw on; ``png`` holds the bytes once the drawing is done."""

    def __init__(self, axes: "Axes") -> None:
        self.axes, self.png = axes, b""


@contextmanager
def canvas(title: str, x: str, y: str, width: float = 7.0, height: float = 4.2) -> Iterator[Canvas]:
    """Open a figure without a display, titled and labelled, and close it into ``png``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    drawn = Canvas(axes)
    yield drawn
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    drawn.png = buffer.getvalue()


def say_so(axes: "Axes", text: str) -> None:
    """Write in the middle of empty axes why there is nothing to draw."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#666666")
