"""Plots of the compared routers: calibration, and the effect of more calibration prompts."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.reporting.chart import Chart, Series

VERSION = 3  # raise it when the same inputs give another result

_NO_PREFERENCES = (
    "no router with the loss bradley_terry was compared;\n"
    "the other losses' scores are no probabilities of winning"
)


def calibration_plot(comparison: Mapping[str, Any]) -> Chart:
    """Show how often teacher B won against the predicted P(B better than A)."""
    bins = comparison["calibration"]
    series = Series(
        f"{(comparison.get('calibrated') or '').replace('_', '-')} router (area: pairs)",
        [b["predicted"] for b in bins],
        [b["observed"] for b in bins],
        line=True,
        weight=[b["pairs"] for b in bins],
        notes=[f"{b['pairs']} pairs" for b in bins],
    )
    return Chart(
        "Is the router's confidence right?",
        "predicted P(B is better than A)",
        "share of pairs that B won",
        [series] if bins else [],
        diagonal="ideal",
        empty=None if bins else _NO_PREFERENCES,
        x_range=(0, 1),
        y_range=(0, 1),
    )


def learning_curve(comparison: Mapping[str, Any]) -> Chart:
    """Show Hit@k of each kind against the number of prompts it was fitted on."""
    curve, routers = comparison["curve"], comparison["routers"]
    hit = shown_hit(comparison)
    return Chart(
        f"{hit.title()} against calibration prompts",
        "prompts fitted on",
        hit.title(),
        [_of_kind(curve, kind, hit) for kind in dict.fromkeys(row["kind"] for row in curve)],
        levels={n: routers[n][hit]["value"] for n in ("constant", "random") if n in routers},
        empty=None if curve else "no prompt has two valid teachers",
    )


def _of_kind(curve: list[dict[str, Any]], kind: str, hit: str) -> Series:
    rows = sorted((r for r in curve if r["kind"] == kind), key=lambda r: r["fitted_on"])
    low, high = zip(*(r[hit]["interval"] for r in rows), strict=True)
    return Series(
        kind.replace("_", " "),
        [r["fitted_on"] for r in rows],
        [r[hit]["value"] for r in rows],
        line=True,
        low=low,
        high=high,
    )


def shown_hit(comparison: Mapping[str, Any]) -> str:
    """Return ``hit@3``, or the largest k in a smaller pool."""
    return f"hit@{max(1, min(3, comparison['teachers'] - 1))}"
