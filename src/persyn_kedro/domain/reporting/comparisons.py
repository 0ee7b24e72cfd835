"""The comparison as a self-contained page."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.reporting import comparison_figures, router_plots, strategy_plots
from persyn_kedro.domain.reporting.drawing import svg
from persyn_kedro.domain.reporting.page import render_page


def comparison_page(comparison: Mapping[str, Any], routers: Mapping[str, Any]) -> str:
    """Return the HTML of the comparison, its plots within; all text is escaped."""
    plots = {
        "tokens": strategy_plots.score_against_tokens(comparison),
        "alpha": strategy_plots.score_against_alpha(comparison),
        "allocation": strategy_plots.teachers_by_kind(comparison),
        "curve": router_plots.learning_curve(routers),
        "calibration": router_plots.calibration_plot(routers),
    }
    return render_page(
        "comparison.html.j2",
        comparison=comparison,
        routers=routers,
        figures=comparison_figures,
        plots={name: svg(chart) for name, chart in plots.items()},
    )
