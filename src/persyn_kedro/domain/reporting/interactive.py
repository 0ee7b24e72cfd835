"""Charts as Plotly figures for Kedro-Viz, with zoom and details on hover."""

from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.reporting.chart import Chart, Series, colour, lap

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_MARKS = ["circle", "triangle-up", "triangle-down", "diamond", "cross", "x"]
_HATCHES = ["", "/", ".", "x"]
_GREY, _LEVELS = "#8a8a8a", ["dash", "dot", "dashdot"]


def plotly_figure(chart: Chart) -> dict[str, Any]:
    """Return the chart as Plotly's JSON: ``{"data": [trace], "layout": {...}}``."""
    from plotly.graph_objects import Figure

    figure = Figure()
    for place, series in enumerate(chart.series):
        _add_series(figure, series, place)
    for place, (name, lengths) in enumerate(chart.bars.items()):
        hatch = _HATCHES[lap(place) % len(_HATCHES)]
        figure.add_bar(
            x=lengths,
            y=list(chart.rows),
            orientation="h",
            name=name,
            marker={"color": colour(place), "pattern": {"shape": hatch}},
        )
    if chart.diagonal:
        _add_line(figure, chart.diagonal, [0, 1], [0, 1], "dash")
    for place, (name, level) in enumerate(chart.levels.items()):
        _add_line(figure, name, _ends(chart), [level, level], _LEVELS[place % len(_LEVELS)])
    if chart.empty:
        figure.add_annotation(text=chart.empty.replace("\n", "<br>"), showarrow=False)
    _lay_out(figure, chart)
    return figure.to_plotly_json()


def _lay_out(figure: "Figure", chart: Chart) -> None:
    figure.update_layout(
        template="none",
        title={"text": chart.title},
        barmode="stack",
        xaxis={"title": {"text": chart.x}, "range": _listed(chart.x_range)},
        yaxis={"title": {"text": chart.y}, "range": _listed(chart.y_range), "automargin": True},
        showlegend=True,
    )
    if chart.from_zero:
        figure.update_xaxes(rangemode="tozero")
    if chart.bars:
        figure.update_yaxes(autorange="reversed", range=None)


def _add_series(figure: "Figure", series: Series, place: int) -> None:
    own = colour(place)
    band = series.line and series.low is not None
    if band and series.low is not None and series.high is not None:
        figure.add_scatter(
            x=[*series.x, *reversed(series.x)],
            y=[*series.high, *reversed(series.low)],
            fill="toself",
            mode="lines",
            line={"width": 0, "color": own},
            opacity=0.15,
            hoverinfo="skip",
            legendgroup=series.name,
            showlegend=False,
        )
    for x, back, y in zip(series.x, series.back_to or (), series.y, strict=False):
        figure.add_scatter(
            x=[back, x],
            y=[y, y],
            mode="lines",
            line={"width": 1, "color": own},
            hoverinfo="skip",
            legendgroup=series.name,
            showlegend=False,
        )
    figure.add_scatter(
        x=list(series.x),
        y=list(series.y),
        mode="+".join(["lines"] * series.line + ["markers"] * series.dots),
        name=series.name,
        legendgroup=series.name,
        line={"color": own},
        marker=_marker(series, place),
        error_y=None if band else _bars(series),
        text=list(series.notes) if series.notes else None,
    )


def _marker(series: Series, place: int) -> dict[str, Any]:
    mark = "square" if series.square else _MARKS[place % len(_MARKS)]
    marker = {"color": colour(place), "symbol": mark, "size": 8}
    if series.weight:
        most = max(series.weight)
        marker["size"] = [6 + 14 * (w / most) ** 0.5 for w in series.weight]
    return marker


def _bars(series: Series) -> dict[str, Any] | None:
    if series.low is None or series.high is None:
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": [h - y for h, y in zip(series.high, series.y, strict=True)],
        "arrayminus": [y - w for w, y in zip(series.low, series.y, strict=True)],
    }


def _add_line(figure: "Figure", name: str, x: list[float], y: list[float], dash: str) -> None:
    figure.add_scatter(x=x, y=y, mode="lines", name=name, line={"color": _GREY, "dash": dash})


def _ends(chart: Chart) -> list[float]:
    values = [x for series in chart.series for x in series.x] or [0.0, 1.0]
    return [0.0 if chart.from_zero else min(values), max(values)]


def _listed(pair: tuple[float, float] | None) -> list[float] | None:
    return None if pair is None else list(pair)
