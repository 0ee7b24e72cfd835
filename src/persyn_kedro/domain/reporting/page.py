"""Self-contained pages: the report, the comparison and the benchmarks; all text is escaped."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from persyn_kedro.domain.reporting import (
    benchmark_figures,
    choice_figures,
    comparison_figures,
    dropped_figures,
    focus_figures,
    formatting as figures,
    frontier_figures,
    judgement_figures,
    plan_figures,
    rounds_figures,
    router_plots,
    run_plots,
    samples_figures,
    selection_figures,
    signal_figures,
    strategy_plots,
    terms_figures,
)
from persyn_kedro.domain.reporting.choice_samples import SAMPLES
from persyn_kedro.domain.reporting.drawing import svg
from persyn_kedro.domain.reporting.glossary import GLOSSARY

VERSION = 7  # of the templates too: raise it when the same inputs give another result


def report_page(summary: dict[str, Any], choices: dict[str, Any]) -> str:
    """Return the HTML of the report.

    Args:
        summary: of ``summary.build_summary``.
        choices: of ``choice_samples``.
    """
    return _page(
        "report.html.j2",
        summary=summary,
        figures=figures,
        most=max([t["prompts"] for t in summary["teachers"]] + [1]),
        choices=choices,
        choice_figures=choice_figures,
        most_samples=SAMPLES,
        plan_figures=plan_figures,
        samples_figures=samples_figures,
        terms=terms_figures,
        signal_figures=signal_figures,
        judgement_figures=judgement_figures,
        selection_figures=selection_figures,
        frontier_figures=frontier_figures,
        plots={
            "merits": svg(run_plots.learnability_against_quality(summary["teachers"])),
            **(
                {"frontier": svg(frontier_figures.frontier_plot(summary["frontier"]))}
                if "frontier" in summary
                else {}
            ),
        },
        dropped_figures=dropped_figures,
        focus_figures=focus_figures,
    )


def comparison_page(comparison: Mapping[str, Any], routers: Mapping[str, Any]) -> str:
    """Return the HTML of the comparison, including its plots."""
    plots = {
        "tokens": strategy_plots.score_against_tokens(comparison),
        "alpha": strategy_plots.score_against_alpha(comparison),
        "allocation": strategy_plots.teachers_by_kind(comparison),
        "curve": router_plots.learning_curve(routers),
        "calibration": router_plots.calibration_plot(routers),
    }
    return _page(
        "comparison.html.j2",
        comparison=comparison,
        routers=routers,
        figures=comparison_figures,
        plots={name: svg(chart) for name, chart in plots.items()},
    )


def benchmark_page(comparison: dict[str, Any]) -> str:
    """Return the HTML of the benchmarks."""
    return _page("benchmark.html.j2", comparison=comparison, figures=benchmark_figures)


def rounds_page(summary: Mapping[str, Any]) -> str:
    """Return the HTML of a round, and of the student after each one until then."""
    return _page("rounds.html.j2", summary=summary, figures=rounds_figures)


def _page(template: str, **values: Any) -> str:
    from jinja2 import Environment, FileSystemLoader

    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    templates.filters["commands"] = _commands
    return templates.get_template(template).render(**values, glossary=GLOSSARY)


def _commands(sentence: str) -> str:
    """Return the sentence, escaped, with what is in backticks set as code."""
    from markupsafe import Markup, escape

    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))  # noqa: S704
