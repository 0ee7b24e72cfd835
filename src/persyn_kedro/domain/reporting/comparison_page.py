"""The comparison as a self-contained page."""

import base64
from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.reporting import comparison_figures
from persyn_kedro.domain.reporting.page import render_page


def comparison_page(
    comparison: Mapping[str, Any], routers: Mapping[str, Any], plots: Mapping[str, bytes]
) -> str:
    """Return the HTML of the comparison, its plots within; all text is escaped."""
    return render_page(
        "comparison.html.j2",
        comparison=comparison,
        routers=routers,
        figures=comparison_figures,
        plots={
            name: f"data:image/png;base64,{base64.b64encode(png).decode()}"
            for name, png in plots.items()
        },
    )
