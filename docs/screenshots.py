"""The pictures of docs/, from the newest run of this project's catalog.

    kedro run && make lineage && python docs/screenshots.py
    python docs/screenshots.py --comparison comparison.html docs/comparison_own.png

Writes docs/lineage.png and docs/report.png; with --out DIR also the dark report, both on a narrow
screen, and what a click on some datasets shows. With --comparison it writes only the first drawing
of that page, which is `data/08_reporting/comparison.html/<version>/comparison.html`.
"""

import argparse
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from playwright.sync_api import Browser, Page, sync_playwright

PROJECT = Path(__file__).parent.parent
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
TALL = {"width": 1280, "height": 1480}
CLICKED = (
    "prompts rewards router_metrics choice_samples reward_against_length_plot "
    "learnability_against_quality_plot teacher_allocation_plot training_loss_plot report"
).split()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serve a directory on a free port of this machine; yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def picture_report(
    browser: Browser, file: Path, scheme: str, size: dict[str, int], whole: bool = True
) -> None:
    """Write the report, or its beginning, in the given colour scheme."""
    reports = (PROJECT / "data" / "08_reporting" / "report.html").glob("*/report.html")
    report = max(reports, default=None)
    if report is None:
        raise SystemExit("No report yet: run `kedro run`.")
    page = browser.new_page(viewport=size, color_scheme=scheme)
    page.goto(report.as_uri())
    page.screenshot(path=file, full_page=whole)
    page.close()


def open_lineage(browser: Browser, address: str, query: str = "") -> Page:
    """Open the static site and wait for its graph."""
    page = browser.new_page(viewport=WIDE)
    page.goto(f"{address}/?pid=__default__{query}")
    page.wait_for_selector(".pipeline-node")
    hidden = "[class*=feature-hints], [class*=minimap] { display: none !important; }"
    page.add_style_tag(content=hidden)
    page.wait_for_timeout(1500)  # the graph moves into place
    return page


def main() -> None:
    """Take the pictures."""
    options = argparse.ArgumentParser()
    options.add_argument("--out", type=Path, help="directory for pictures that docs/ does not keep")
    options.add_argument("--comparison", nargs=2, type=Path, metavar=("PAGE", "PNG"))
    chosen = options.parse_args()
    out, docs = chosen.out, PROJECT / "docs"
    with sync_playwright() as playwright, served(PROJECT / "build") as address:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        if chosen.comparison:
            drawing, picture = chosen.comparison
            page = browser.new_page(viewport=WIDE)
            page.goto(drawing.resolve().as_uri())
            page.locator(".drawing svg").first.screenshot(path=picture)
            return
        open_lineage(browser, address).screenshot(path=docs / "lineage.png")
        picture_report(browser, docs / "report.png", "light", TALL, whole=False)
        if out:
            out.mkdir(parents=True, exist_ok=True)
            picture_report(browser, out / "report-dark.png", "dark", WIDE)
            for scheme in ("light", "dark"):
                picture_report(browser, out / f"report-narrow-{scheme}.png", scheme, NARROW)
            for name in CLICKED:
                page = open_lineage(browser, address, f"&expandAllPipelines=true&sn={name}")
                page.screenshot(path=out / f"lineage-{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
