"""The compared routers drawn: calibration, and what more calibration prompts bring."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.reporting.png import canvas, say_so, style


def calibration_plot(comparison: Mapping[str, Any]) -> bytes:
    """Draw how often teacher B won against the predicted P(B better than A)."""
    with canvas(
        "Is the router's confidence right?",
        "predicted P(B is better than A)",
        "share of pairs that B won",
        width=5.2,
        height=4.6,
    ) as drawn:
        bins, axes = comparison["calibration"], drawn.axes
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle="--", label="ideal")
        if bins:
            most = max(b["pairs"] for b in bins)
            x, y = [b["predicted"] for b in bins], [b["observed"] for b in bins]
            axes.plot(x, y, color=style(0)[0], linewidth=1)
            axes.scatter(
                x,
                y,
                s=[20 + 180 * b["pairs"] / most for b in bins],
                color=style(0)[0],
                label="language-model router (area: pairs)",
            )
            axes.legend(frameon=False, loc="upper left")
        else:
            say_so(axes, "no language-model router was compared:\nthe others predict rewards")
    return drawn.png


def learning_curve(comparison: Mapping[str, Any]) -> bytes:
    """Draw the shown Hit@k of each kind against the number of prompts fitted on."""
    curve, routers = comparison["curve"], comparison["routers"]
    hit = shown_hit(comparison)
    with canvas(
        f"{hit.title()} against calibration prompts", "prompts fitted on", hit.title()
    ) as drawn:
        axes = drawn.axes
        if not curve:
            say_so(axes, "no prompt has two valid teachers")
        for place, kind in enumerate(dict.fromkeys(row["kind"] for row in curve)):
            rows = sorted((r for r in curve if r["kind"] == kind), key=lambda r: r["fitted_on"])
            x, y = [r["fitted_on"] for r in rows], [r[hit]["value"] for r in rows]
            low, high = zip(*(r[hit]["interval"] for r in rows), strict=True)
            colour = style(place)[0]
            axes.plot(x, y, marker="o", color=colour, label=kind.replace("_", " "))
            axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
        lines = {"constant": "--", "random": ":"}
        for name, line in lines.items():
            if name in routers:
                value = routers[name][hit]["value"]
                axes.axhline(value, color="#555555", linestyle=line, linewidth=1, label=name)
        if curve:
            axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn.png


def shown_hit(comparison: Mapping[str, Any]) -> str:
    """Return ``hit@3``, or the largest k that a smaller pool has."""
    return f"hit@{max(1, min(3, comparison['teachers'] - 1))}"
