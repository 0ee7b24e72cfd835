"""What Kedro-Viz and the report show, in their files and in a real browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from persyn_kedro.pipeline_registry import STEPS, register_pipelines
from tests.conftest import Run
from tests.support.browser import Watched, chromium, served
from tests.support.catalog import entries

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DEFAULT = register_pipelines()["__default__"]
CATALOG = entries()
TABLES = [
    name
    for name, entry in CATALOG.items()
    if entry["type"].endswith("ParquetTable") and name in DEFAULT.all_outputs()
]
FONT = "https://fonts.googleapis.com/"
# Of each kind, what is in the panel after a click.
CLICKED = {
    "prompts": "table.preview-table",
    "calibration_responses": "table.preview-table",
    "rewards": "table.preview-table",
    "assignments": "table.preview-table",
    "sft_dataset": "table.preview-table",
    "router_metrics": "table.preview-table",
    "evaluation_metrics": "table.preview-table",
    "report": "table.preview-table",
    "student": ".pipeline-metadata__preview-json",
    "reward_against_length_plot": ".js-plotly-plot .scatterlayer .point",
    "teacher_allocation_plot": ".js-plotly-plot .barlayer .point",
}


@pytest.fixture(scope="module")
def site(smoke_project: Run) -> Path:
    smoke_project("lineage", "--env=smoke")
    return Path(smoke_project.directory) / "build"


@pytest.fixture(scope="module")
def nodes(site: Path) -> dict[str, dict[str, Any]]:
    """What the site says of each node and data set of the default pipeline, by name."""
    main = json.loads((site / "api/main").read_text())
    files = {node["name"]: site / "api/nodes" / node["id"] for node in main["nodes"]}
    return {name: json.loads(f.read_text()) for name, f in files.items() if f.exists()}


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with chromium() as running:
        yield running


def test_steps_are_groups_and_layers_are_numbered_in_the_datas_order(site: Path) -> None:
    main = json.loads((site / "api/main").read_text())
    assert set(main["modular_pipelines"]) >= set(STEPS)
    for file in (site / "api/pipelines").iterdir():
        shown = json.loads(file.read_text())
        here = {node.get("layer") for node in shown["nodes"]} - {None}
        # A cycle of layers would leave none.
        assert sorted(here) == [layer for layer in shown["layers"] if layer in here], file.name


def test_every_table_has_a_preview_and_statistics(
    smoke_project: Run, nodes: dict[str, dict[str, Any]]
) -> None:
    for name in TABLES:
        file = Path(CATALOG[name]["filepath"].replace("${globals:data}", "data/smoke"))
        newest = max((smoke_project.directory / file).glob(f"*/{file.name}"))
        table = pq.read_table(newest)
        assert nodes[name]["stats"] == {
            "rows": table.num_rows,
            "columns": table.num_columns,
            "file_size": newest.stat().st_size,
        }
        assert nodes[name]["preview_type"] == "TablePreview"
        assert nodes[name]["preview"]["columns"] == table.column_names
        assert len(nodes[name]["preview"]["data"]) == min(10, table.num_rows)


def test_figures_are_tables_and_plots_are_interactive(nodes: dict[str, dict[str, Any]]) -> None:
    rows = {row[0]: row[1] for row in nodes["router_metrics"]["preview"]["data"]}
    assert {"n", "router · hit@1", "constant · regret"} <= set(rows)
    plots = {name for name in nodes if name.endswith("_plot")}
    assert len(plots) == 4
    for name in plots:
        assert nodes[name]["preview_type"] == "PlotlyPreview"
        assert nodes[name]["preview"]["data"]
    assert "model.safetensors" in nodes["student"]["preview"]


@pytest.mark.parametrize("pipeline", sorted(set(register_pipelines()) - {"__default__"}))
def test_every_node_says_in_a_sentence_what_it_does(pipeline: str) -> None:
    for node in register_pipelines()[pipeline].nodes:
        shown = node.preview()
        assert shown is not None, f"{node.name} has no sentence (pipelines/described.py)"
        assert shown.to_dict()["content"].endswith(".")


def test_in_the_browser_a_click_shows_the_preview(
    site: Path, browser: "Browser", nodes: dict[str, dict[str, Any]]
) -> None:
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    watched = Watched(page)
    with served(site) as address:
        page.goto(f"{address}/?pid=__default__")
        page.wait_for_selector(".pipeline-node")
        labels = page.locator(".pipeline-node").all_text_contents()
        assert {step.replace("_", " ") for step in STEPS} <= {_plain(text) for text in labels}
        page.goto(f"{address}/?pid=__default__&expandAllPipelines=true")
        page.wait_for_selector(".pipeline-node[data-node-fullname=prompts]")
        layers = page.locator(".pipeline-layer-name").all_text_contents()
        assert len(layers) == 11 and layers == sorted(layers)
        for name, preview in CLICKED.items():
            _click(page, name)
            page.wait_for_selector(f".pipeline-metadata {preview}", state="attached")
            if name in TABLES:
                rows = page.locator("[data-test=metadata-stats-value-rows]")
                rows.get_by_text(f"{nodes[name]['stats']['rows']:,}", exact=True).wait_for()
        sentence = "Puts quality and learnability on one scale"
        _click(page, "normalise_rewards")
        page.locator(".pipeline-metadata").get_by_text(sentence).wait_for()
    page.close()
    foreign = [url for url in watched.requests if not url.startswith((address, f"blob:{address}"))]
    assert all(url.startswith(FONT) for url in foreign)
    assert len([e for e in watched.errors if "ERR_" not in e]) == 0
    assert len(watched.errors) <= len(foreign)


def _plain(label: str) -> str:
    return label.strip().lower().replace("_", " ")


def _click(page: "Page", name: str) -> None:
    """Click a node of the graph; it may lie outside the window, so no pointer is moved."""
    page.locator(f".pipeline-node[data-node-fullname='{name}']").dispatch_event("click")
    page.locator(".pipeline-metadata__title").get_by_text(name).wait_for()


@pytest.fixture(scope="module")
def report(smoke_project: Run) -> str:
    found = smoke_project.directory.glob("data/smoke/08_reporting/report.html/*/report.html")
    return max(found).as_uri()


def test_the_reports_tables_are_sorted_by_click_and_key(report: str, browser: "Browser") -> None:
    page = browser.new_page()
    watched = Watched(page)
    page.goto(report)
    table = page.locator("table.sortable").first
    head = table.locator("thead th", has_text="prompts")

    def column(place: int) -> list[str]:
        return table.locator(f"tbody td:nth-child({place})").all_inner_texts()

    as_set, counts = column(1), [int(text) for text in column(2)]
    assert len(set(as_set)) == len(as_set) > 2
    head.get_by_role("button").click()
    assert [int(text) for text in column(2)] == sorted(counts)
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").press("Enter")
    assert [int(text) for text in column(2)] == sorted(counts, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    head.get_by_role("button").press("Space")
    assert (column(1), head.get_attribute("aria-sort")) == (as_set, "none")
    table.locator("thead th button").first.click()
    assert column(1) == sorted(as_set)
    page.close()
    assert (watched.errors, watched.requests) == ([], [report])


def test_the_report_is_readable_in_light_and_dark(report: str, browser: "Browser") -> None:
    papers = []
    for scheme, other in (("light", "Dark"), ("dark", "Light")):
        page = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
        page.goto(report)
        papers.append(_contrasts(page))
        page.get_by_role("button", name=other, exact=True).click()
        papers.append(_contrasts(page))
        width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1]  # wide tables scroll, the page does not
        page.close()
    light, dark = papers[0], papers[1]
    assert papers == [light, dark, dark, light] and light > 0.9 and dark < 0.05


def _contrasts(page: "Page") -> float:
    """Return the paper's luminance, and see that text stands out from it (WCAG 2: 4.5 : 1)."""

    def luminance(selector: str, what: str) -> float:
        colour = page.locator(selector).first.evaluate(f"e => getComputedStyle(e).{what}")
        channels = [int(c) / 255 for c in colour[4:-1].split(",")]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    paper = luminance("body", "backgroundColor")
    for selector in ("body", ".soft", "th", "dd", "a", ".drawing svg text"):
        what = "fill" if "svg" in selector else "color"
        pair = sorted([luminance(selector, what), paper])
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, selector
    return paper
