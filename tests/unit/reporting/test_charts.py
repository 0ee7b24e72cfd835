"""Charts as Plotly figures and as drawings within a page, and what a data set shows of itself."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from kedro.io.core import Version
from matplotlib import rc_context
from matplotlib.colors import to_rgb

from persyn_kedro.datasets.documents import Figures, HtmlPage, JsonDocument, PlotlyPlot
from persyn_kedro.datasets.parquet_table import ParquetTable
from persyn_kedro.domain.reporting.chart import Chart, Series, colour
from persyn_kedro.domain.reporting.drawing import svg
from persyn_kedro.domain.reporting.interactive import plotly_figure

NAME = "<b>50% $\\frac{"  # HTML, and what would be a broken formula
BAND = Series("band", [1, 2], [3, 4], line=True, low=[2, 3], high=[5, 6], notes=["a", "b"])
BARS = Series("bars", [2.0], [3.0], low=[2.5], high=[4.0], back_to=[1.0], square=True)
AREAS = Series(NAME, [0.5, 1], [0.5, 1], weight=[1, 4])
CHARTS = {
    "points": Chart("t", "x", "y", [BAND, BARS, AREAS], {"level": 2.5}, diagonal="ideal"),
    "stacked": Chart("t", "x", "", rows=["r", NAME], bars={NAME: [1, 2], "z": [3, 0]}),
    "empty": Chart("t", "x", "y", empty="nothing\nto draw"),
}


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_a_drawing_is_one_element_in_the_pages_colours(chart: Chart) -> None:
    drawn = svg(chart)
    assert drawn == svg(chart)
    root = ElementTree.fromstring(drawn)  # noqa: S314 - our own
    assert root.tag.endswith("svg") and not root.findall(".//{*}b")
    assert "currentColor" in drawn and "#010203" not in drawn and "#000000" not in drawn
    texts = {"".join(node.itertext()).strip() for node in root.iter() if node.tag.endswith("text")}
    for name in [*(s.name for s in chart.series), *chart.rows, *chart.bars, *chart.levels]:
        assert name in texts


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_a_drawing_is_the_same_whatever_matplotlib_is_set_to(chart: Chart) -> None:
    drawn = svg(chart)
    with rc_context({"lines.linewidth": 9, "font.size": 30, "axes.grid": True}):
        assert svg(chart) == drawn


# What a dichromat sees of linear RGB: Machado, Oliveira and Fernandes (2009), severity 1.
SEEN = {
    "by all cones": np.eye(3),
    "without red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                    [-0.003882, -0.048116, 1.051998]],
    "without green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                      [-0.011820, 0.042940, 0.968881]],
    "without blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                     [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
def test_all_colours_are_told_apart(seen: np.ndarray) -> None:
    colours = [colour(place) for place in range(7)]
    assert len(set(colours)) == 7 and colour(7) == colours[0]
    labs = [_lab(np.asarray(seen) @ _linear(each)) for each in colours]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(labs) for b in labs[:i]]
    assert min(apart) > 15  # 2.3 is what is just noticed; the palette before had 6.5


def _linear(colour: str) -> np.ndarray:
    """Return linear RGB of #rrggbb."""
    values = np.array(to_rgb(colour))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _lab(linear: np.ndarray) -> np.ndarray:
    """Return CIELAB (D65) of linear RGB."""
    xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                    [0.0193339, 0.1191920, 0.9503041]]) @ linear.clip(0, 1)  # fmt: skip
    share = xyz / [0.95047, 1, 1.08883]
    x, y, z = np.where(share > (6 / 29) ** 3, np.cbrt(share), share * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_series_differ_in_their_markers_too() -> None:
    some = Chart("t", "x", "y", [Series(f"s{n}", [n], [n]) for n in range(6)])
    marks = [trace["marker"]["symbol"] for trace in plotly_figure(some)["data"]]
    assert len(set(marks)) == 6
    drawn = svg(some)
    shapes = dict(re.findall(r'<path id="(\w+)" d="([^"]+)"', drawn))
    coloured = re.findall(r'<use xlink:href="#(\w+)"[^>]*fill: #', drawn)
    assert len({shapes[each] for each in coloured}) == 6


def test_a_figure_has_the_charts_numbers() -> None:
    figure = json.loads(json.dumps(plotly_figure(CHARTS["points"]), allow_nan=False))
    named = {trace["name"]: trace for trace in figure["data"] if "name" in trace}
    assert set(named) == {"band", "bars", NAME, "level", "ideal"}
    assert (named["band"]["x"], named["band"]["y"]) == ([1, 2], [3, 4])
    assert named["band"]["text"] == ["a", "b"]
    assert named["bars"]["error_y"]["array"] == [1.0]
    assert named["bars"]["error_y"]["arrayminus"] == [0.5]
    (fill,) = [trace for trace in figure["data"] if trace.get("fill")]
    assert list(zip(fill["x"], fill["y"], strict=True)) == [(1, 5), (2, 6), (2, 3), (1, 2)]
    sizes = named[NAME]["marker"]["size"]
    assert (sizes[1] - 6) == 2 * (sizes[0] - 6)  # area, not width, goes with the weight
    stacked = plotly_figure(CHARTS["stacked"])
    assert [list(trace["x"]) for trace in stacked["data"]] == [[1, 2], [3, 0]]
    assert (
        plotly_figure(CHARTS["empty"])["layout"]["annotations"][0]["text"] == "nothing<br>to draw"
    )


def test_figures_are_shown_as_a_table(tmp_path: Path) -> None:
    figures = Figures(filepath=str(tmp_path / "f.json"), version=Version(None, "v1"))
    regret = {"value": 0.25, "interval": [0.125, 0.5]}
    router = {"hit@1": 5 / 7, "regret": regret}
    figures.save({"n": 7, "router": router, "rows": [{"k": None}]})
    shown = Figures(filepath=str(tmp_path / "f.json"), version=Version("v1", None)).preview()
    assert shown["data"] == [
        ["n", "7"],
        ["router · hit@1", "0.7143"],
        ["router · regret", "0.25 [0.125, 0.5]"],
        ["rows · 1 · k", "–"],
    ]
    curve = Figures(filepath=str(tmp_path / "c.json"), version=Version(None, "v1"))
    curve.save([{"left_out": 0}, {"step": 1, "loss": 0.5}])
    shown = Figures(filepath=str(tmp_path / "c.json"), version=Version("v1", None)).preview()
    assert shown["columns"] == ["left_out", "step", "loss"]
    assert shown["data"] == [["0", "–", "–"], ["–", "1", "0.5"]]


@pytest.mark.parametrize("kind", [Figures, JsonDocument, PlotlyPlot, HtmlPage, ParquetTable])
def test_what_is_not_made_yet_says_so(kind: type, tmp_path: Path) -> None:
    dataset = kind(filepath=str(tmp_path / "d"), version=Version(None, None))
    assert re.search("not made yet", json.dumps(dataset.preview()))
