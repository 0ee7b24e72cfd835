"""The compared strategies drawn: score against tokens, score against alpha, who teaches what."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.reporting.png import canvas, say_so, style
from persyn_kedro.domain.strategies.allocation import ON_CALIBRATION


def score_against_tokens(comparison: Mapping[str, Any]) -> bytes:
    """Draw each strategy's score over the teacher tokens that it would have taken alone.

    A dot stands at all tokens, a line goes back to those of the training set alone: who knows
    beforehand which teacher to choose needs no calibration answers.
    """
    with canvas(
        "What the students score, and what it takes",
        "teacher tokens (completion)",
        _score(comparison),
    ) as drawn:
        axes = drawn.axes
        for place, (name, row) in enumerate(comparison["strategies"].items()):
            if row["mean"] is None:
                continue
            colour, mark, _ = style(place)
            alone, whole = (row["cost"][key] for key in ("completion_tokens", _WHOLE))
            y = _scaled(comparison, row["mean"])
            spread = _scaled(comparison, row["spread"]) if row["spread"] is not None else 0
            axes.plot([alone, whole], [y, y], color=colour, linewidth=1, alpha=0.6)
            axes.plot([alone], [y], marker="|", color=colour, alpha=0.6)
            mark = "s" if name in ON_CALIBRATION else mark  # fewer prompts
            axes.errorbar(
                [whole], [y], yerr=[spread], fmt=mark, color=colour, capsize=3, label=name
            )
        if comparison["untrained"] is not None:
            level = _scaled(comparison, comparison["untrained"])
            axes.axhline(level, color="#555555", linestyle=":", linewidth=1, label="untrained")
        axes.set_xlim(left=0)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn.png


_WHOLE = "whole_completion_tokens"


def score_against_alpha(comparison: Mapping[str, Any]) -> bytes:
    """Draw PerSyn's score over alpha: 0 is quality alone, 1 learnability alone."""
    with canvas(
        "PerSyn's score over α", "α (0: quality, 1: learnability)", _score(comparison)
    ) as drawn:
        axes, rows = drawn.axes, [r for r in comparison["alphas"] if r["mean"] is not None]
        if len(rows) < 2:
            say_so(axes, "compare.alphas gives no second α")
        else:
            y = [_scaled(comparison, r["mean"]) for r in rows]
            spread = [_scaled(comparison, r["spread"] or 0.0) for r in rows]
            axes.errorbar(
                [r["alpha"] for r in rows], y, yerr=spread, marker="o", color=style(0)[0], capsize=3
            )
            axes.set_xlim(-0.05, 1.05)
    return drawn.png


def teachers_by_kind(comparison: Mapping[str, Any]) -> bytes:
    """Draw, for each kind of prompt, to which teachers PerSyn sent it."""
    rows = comparison["allocation"]
    height = 1.6 + 0.45 * max(1, len(rows))
    with canvas("Whom PerSyn asked", "share of the kind's prompts", "", height=height) as drawn:
        axes = drawn.axes
        left = [0.0] * len(rows)
        kinds = [f"{row['kind']} ({sum(v for k, v in row.items() if k != 'kind')})" for row in rows]
        teachers = [name for name in rows[0] if name != "kind"] if rows else []
        for place, teacher in enumerate(teachers):
            shares = [
                r[teacher] / max(1, sum(v for k, v in r.items() if k != "kind")) for r in rows
            ]
            colour, _, hatch = style(place)
            axes.barh(kinds, shares, left=left, color=colour, hatch=hatch, label=teacher)
            left = [a + b for a, b in zip(left, shares, strict=True)]
        axes.set_xlim(0, 1)
        axes.invert_yaxis()
        if teachers:
            axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        else:
            say_so(axes, "no examples")
    return drawn.png


def _score(comparison: Mapping[str, Any]) -> str:
    return (
        "test accuracy (%)" if comparison["measure"] == "exact" else "mean reward of test answers"
    )


def _scaled(comparison: Mapping[str, Any], value: float) -> float:
    return 100 * value if comparison["measure"] == "exact" else value
