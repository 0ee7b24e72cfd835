"""Self-contained pages: the report, the benchmarks, and how any page is made."""

from pathlib import Path
from typing import Any

from persyn_kedro.domain.reporting import (
    benchmark_figures,
    choice_figures,
    formatting as figures,
    plan_figures,
    run_plots,
)
from persyn_kedro.domain.reporting.choice_samples import SAMPLES
from persyn_kedro.domain.reporting.drawing import svg
from persyn_kedro.domain.reporting.glossary import GLOSSARY


def report_page(summary: dict[str, Any], choices: dict[str, Any]) -> str:
    """Return the HTML of the report; all text is escaped.

    Args:
        summary: of ``summary.build_summary``.
        choices: of ``choice_samples``.
    """
    return render_page(
        "report.html.j2",
        summary=summary,
        figures=figures,
        most=max([t["prompts"] for t in summary["teachers"]] + [1]),
        choices=choices,
        choice_figures=choice_figures,
        most_samples=SAMPLES,
        plan_figures=plan_figures,
        plots={"merits": svg(run_plots.learnability_against_quality(summary["teachers"]))},
    )


def render_page(template: str, **values: Any) -> str:
    """Return a template of this directory filled in; all values are escaped."""
    from jinja2 import Environment, FileSystemLoader

    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    return templates.get_template(template).render(**values, glossary=GLOSSARY)


def benchmark_page(comparison: dict[str, Any]) -> str:
    """Return the HTML of the benchmarks; all text is escaped."""
    return render_page("benchmark.html.j2", comparison=comparison, figures=benchmark_figures)
