"""Charts as SVG within a page; their text takes the page's colour, in light and dark mode.

The same chart gives the same SVG, whatever matplotlibrc the machine has.
"""

import re
from io import StringIO
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.reporting.chart import Chart, Series, colour, lap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKS, _HATCHES = ["o", "^", "v", "D", "P", "X"], ["", "///", "...", "xxx"]
_INK = "#010203"  # placeholder for the page's own colour
_LEVELS = ["--", ":", "-."]
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small and searchable
    "svg.hashsalt": "persyn",
    "text.parse_math": False,  # a name may contain a dollar sign
    **dict.fromkeys(
        ["text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"], _INK
    ),
}


def svg(chart: Chart, width: float = 7.0, height: float = 4.2) -> str:
    """Return the chart as an ``<svg>`` element; all its text is escaped."""
    from matplotlib import rc_context, rcParamsDefault
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    plain: dict[Any, Any] = {
        name: value for name, value in rcParamsDefault.items() if name != "backend"
    }
    with rc_context({**plain, **_SETTINGS}):
        if chart.bars:
            height = 1.6 + 0.45 * max(1, len(chart.rows))
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        figure.patch.set_alpha(0)
        _draw(figure.subplots(), chart)
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :].replace(_INK, "currentColor")
    return re.sub(r"<metadata>.*?</metadata>", "", drawn, count=1, flags=re.DOTALL)


def _draw(axes: "Axes", chart: Chart) -> None:
    axes.set(title=chart.title, xlabel=chart.x, ylabel=chart.y)
    axes.patch.set_alpha(0)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    for place, series in enumerate(chart.series):
        _draw_series(axes, series, place)
    if chart.bars:
        _draw_bars(axes, chart)
    if chart.diagonal:
        axes.plot([0, 1], [0, 1], color=_INK, alpha=0.5, linestyle="--", label=chart.diagonal)
    for place, (name, level) in enumerate(chart.levels.items()):
        axes.axhline(
            level, color=_INK, alpha=0.5, linestyle=_LEVELS[place % len(_LEVELS)], label=name
        )
    if chart.x_range:
        axes.set_xlim(*chart.x_range)
    if chart.y_range:
        axes.set_ylim(*chart.y_range)
    if chart.from_zero:
        axes.set_xlim(left=0)
    if chart.empty:
        axes.text(0.5, 0.5, chart.empty, transform=axes.transAxes, ha="center", va="center")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _draw_series(axes: "Axes", series: Series, place: int) -> None:
    own, mark = colour(place), "s" if series.square else _MARKS[place % len(_MARKS)]
    if series.low is not None and series.high is not None:
        if series.line:
            axes.fill_between(series.x, series.low, series.high, color=own, alpha=0.15, linewidth=0)
        else:
            axes.vlines(series.x, series.low, series.high, color=own, linewidth=1.5)
    if series.back_to is not None:
        axes.hlines(series.y, series.back_to, series.x, color=own, linewidth=1, alpha=0.6)
        axes.plot(series.back_to, series.y, "|", color=own, alpha=0.6)
    if series.weight:
        most = max(series.weight)
        sizes = [20 + 180 * weight / most for weight in series.weight]
        axes.scatter(series.x, series.y, s=sizes, color=own)
    axes.plot(
        series.x,
        series.y,
        color=own,
        linestyle="-" if series.line else "",
        marker=mark if series.dots and not series.weight else "",
        label=series.name,
    )


def _draw_bars(axes: "Axes", chart: Chart) -> None:
    left = [0.0] * len(chart.rows)
    for place, (name, lengths) in enumerate(chart.bars.items()):
        hatch = _HATCHES[lap(place) % len(_HATCHES)]
        axes.barh(
            list(chart.rows), lengths, left=left, color=colour(place), hatch=hatch, label=name
        )
        left = [a + b for a, b in zip(left, lengths, strict=True)]
    axes.invert_yaxis()
