"""What a plot shows, apart from how ``interactive.py`` and ``drawing.py`` draw it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

# Okabe and Ito's (2008), told apart by the colour-blind; without black, which a dark page would
# hide, and yellow, which a light one would, but with a grey.
_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666"]
_PER_LAP = len(_COLOURS)


@dataclass(frozen=True)
class Series:
    """Points with one colour and one entry in the legend.

    Attributes:
        line, dots: whether the points are joined, and whether they are marked.
        low, high: of each point; drawn as a band around a line, else as bars.
        back_to: of each point, an x to which a thin line leads back.
        weight: of each point, shown by its area.
        notes: of each point, shown on hover beside x and y.
        square: whether it has a different marker than its neighbours.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    line: bool = False
    dots: bool = True
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    back_to: Sequence[float] | None = None
    weight: Sequence[float] | None = None
    notes: Sequence[str] | None = None
    square: bool = False


@dataclass(frozen=True)
class Chart:
    """Axes with series on them, or stacked horizontal bars.

    Attributes:
        levels: names of horizontal lines, and their y.
        bars: for each part its lengths, in the order of ``rows``.
        diagonal: the name of a dashed line from (0, 0) to (1, 1).
        empty: why there is nothing to draw.
        x_range, y_range: None if the data decide.
        from_zero: whether x begins at 0.
    """

    title: str
    x: str
    y: str
    series: Sequence[Series] = ()
    levels: dict[str, float] = field(default_factory=dict)
    rows: Sequence[str] = ()
    bars: dict[str, list[float]] = field(default_factory=dict)
    diagonal: str | None = None
    empty: str | None = None
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    from_zero: bool = False


def colour(place: int) -> str:
    """Return the colour for the given index."""
    return _COLOURS[place % _PER_LAP]


def lap(place: int) -> int:
    """Return how often all colours were used before: each lap has its own hatching of bars."""
    return place // _PER_LAP
