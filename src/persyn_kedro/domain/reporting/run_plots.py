"""A run's plots: rewards of the teachers' answers, who answers, the student's training."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.reporting.chart import Chart, Series

VERSION = 3  # raise it when the same inputs give another result

MOST_POINTS = 400  # per teacher; a browser cannot draw a hundred thousand


def reward_against_length(
    rewards: pa.Table, tokens: Mapping[str, int | None], teachers: Sequence[str]
) -> Chart:
    """Show each valid calibration answer's reward over its length.

    Args:
        rewards: ``schemas.REWARDS``.
        tokens: by response key, the answer's length in the student's tokens.
    """
    rows = [row for row in rewards.to_pylist() if row["valid"] and tokens.get(row["response_key"])]
    series = []
    for teacher in teachers:
        own = _thinned([row for row in rows if row["teacher"] == teacher])
        length = [tokens[row["response_key"]] or 0 for row in own]
        notes = [f"prompt {row['prompt_id'][:10]}" for row in own]
        series.append(Series(teacher, length, [row["reward"] for row in own], notes=notes))
    return Chart(
        "Reward against length of the calibration answers",
        "length (the student's tokens)",
        "reward r (0 to 1)",
        series,
        empty=None if rows else "no valid answer",
        from_zero=True,
    )


def learnability_against_quality(teachers: Sequence[Mapping[str, Any]]) -> Chart:
    """Show each teacher's mean learnability over its mean quality.

    Args:
        teachers: the ``teachers`` of a summary.
    """
    known = [
        t for t in teachers if t["mean_quality"] is not None and t["mean_learnability"] is not None
    ]
    return Chart(
        "The strongest teacher need not be the easiest to learn from",
        "mean quality of its calibration answers",
        "mean learnability (log-likelihoods: nats per token)",
        [
            Series(
                t["teacher"],
                [t["mean_quality"]],
                [t["mean_learnability"]],
                notes=[f"{t['prompts']} prompts"],
            )
            for t in known
        ],
        empty=None if known else "no teacher has both",
    )


def teacher_allocation(teachers: Sequence[Mapping[str, Any]]) -> Chart:
    """Show how many prompts (calibration and train) the router sent to each teacher."""
    names = [t["teacher"] for t in teachers]
    return Chart(
        "Who answers how many prompts",
        "prompts (calibration and train)",
        "",
        rows=names,
        bars={"prompts": [t["prompts"] for t in teachers]},
    )


def loss_curve(curve: Sequence[Mapping[str, Any]]) -> Chart:
    """Show the student's training loss (nats per token) by step."""
    rows = [row for row in curve if row.get("loss") is not None]
    series = Series(
        "training loss", [row["step"] for row in rows], [row["loss"] for row in rows], line=True
    )
    return Chart(
        "How the student learned",
        "training step",
        "loss (nats per token)",
        [series] if rows else [],
        empty=None if rows else "no loss was logged",
    )


def _thinned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return at most ``MOST_POINTS`` of the rows, evenly spaced."""
    if len(rows) <= MOST_POINTS:
        return rows
    return [rows[i * len(rows) // MOST_POINTS] for i in range(MOST_POINTS)]
