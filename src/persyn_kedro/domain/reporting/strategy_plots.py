"""Plots of the compared strategies: score by tokens, score by alpha, teachers by kind."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.comparison.strategies.allocation import ON_CALIBRATION
from persyn_kedro.domain.reporting.chart import Chart, Series

VERSION = 2  # raise it when the same inputs give another result


def score_against_tokens(comparison: Mapping[str, Any]) -> Chart:
    """Show each strategy's score over the teacher tokens that it would have used alone.

    A dot shows all tokens; a line leads back to those of the training set only, the cost if the
    choice of teacher needs no calibration answers.
    """
    untrained = comparison["untrained"]
    return Chart(
        "The students' scores, and their costs",
        "teacher tokens (completion)",
        _score(comparison),
        [
            Series(
                name,
                [row["cost"]["whole_completion_tokens"]],
                back_to=[row["cost"]["completion_tokens"]],
                square=name in ON_CALIBRATION,  # fewer prompts
                **_spread(comparison, [row]),
            )
            for name, row in comparison["strategies"].items()
            if row["mean"] is not None
        ],
        levels={} if untrained is None else {"untrained": _scaled(comparison, untrained)},
        from_zero=True,
    )


def score_against_alpha(comparison: Mapping[str, Any]) -> Chart:
    """Show PerSyn's score over alpha: 0 is only quality, 1 only learnability."""
    rows = [row for row in comparison["alphas"] if row["mean"] is not None]
    enough = len(rows) > 1
    series = Series(
        "PerSyn", [row["alpha"] for row in rows], line=True, **_spread(comparison, rows)
    )
    return Chart(
        "PerSyn's score over α",
        "α (0: quality, 1: learnability)",
        _score(comparison),
        [series] if enough else [],
        empty=None if enough else "compare.alphas has no second α",
        x_range=(-0.05, 1.05),
    )


def teachers_by_kind(comparison: Mapping[str, Any]) -> Chart:
    """Show, for each kind of prompt, which teachers PerSyn chose."""
    rows = comparison["allocation"]
    teachers = [name for name in rows[0] if name != "kind"] if rows else []
    totals = [sum(row[teacher] for teacher in teachers) for row in rows]
    return Chart(
        "Whom PerSyn chose",
        "share of the kind's prompts",
        "",
        rows=[f"{row['kind']} ({total})" for row, total in zip(rows, totals, strict=True)],
        bars={
            teacher: [row[teacher] / max(1, total) for row, total in zip(rows, totals, strict=True)]
            for teacher in teachers
        },
        empty=None if teachers else "no examples",
        x_range=(0, 1),
    )


def _spread(comparison: Mapping[str, Any], rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return y and, one standard deviation over seeds around it, low and high."""
    scaled = [(_scaled(comparison, r["mean"]), _scaled(comparison, r["spread"] or 0)) for r in rows]
    return {
        "y": [mean for mean, _ in scaled],
        "low": [mean - spread for mean, spread in scaled],
        "high": [mean + spread for mean, spread in scaled],
    }


def _score(comparison: Mapping[str, Any]) -> str:
    return (
        "test accuracy (%)" if comparison["measure"] == "exact" else "mean reward of test answers"
    )


def _scaled(comparison: Mapping[str, Any], value: float) -> float:
    return 100 * value if comparison["measure"] == "exact" else value
