"""What a round changed: who is best for the student as it is now, and who answers what."""

from collections.abc import Mapping
from typing import Any

import pyarrow.dataset as pads

from persyn_kedro.domain.intervals import wilson
from persyn_kedro.domain.prompts import focus_counts
from persyn_kedro.domain.reporting import rounds_page, rounds_text
from persyn_kedro.domain.rewards import compute_rewards
from persyn_kedro.domain.routers import Round, round_change, router_metrics
from persyn_kedro.domain.student import accuracy_summary
from persyn_kedro.foundations.settings import (
    EvaluateSettings,
    RoundsSettings,
    Teachers,
    check_rounds,
    step,
)

_QUALITY = ["prompt_id", "quality"]


@step(
    versions_of=(
        round_change,
        router_metrics,
        compute_rewards,
        accuracy_summary,
        wilson,
        rounds_page,
    ),
    prints={rounds_text: ("round_summary",)},
    check=check_rounds,
    settings=("confidence",),
    rounds=(),
)
def summarise_round(
    prompts: pads.Dataset,
    assignments_before: pads.Dataset,
    assignments: pads.Dataset,
    rewards_before: pads.Dataset,
    rewards: pads.Dataset,
    metrics_before: dict[str, Any],
    metrics: dict[str, Any],
    quality_before: pads.Dataset,
    quality: pads.Dataset,
    routed_calls: pads.Dataset,
    focus: pads.Dataset,
    teachers: Teachers,
    rounds: RoundsSettings,
    settings: EvaluateSettings,
    history: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], str]:
    """Return what changed since the round before, and a page of all rounds until now.

    Args:
        quality_before: of the test answers of the student as the round before left it.
        history: the summary of the round before, if that was not the first.
    """
    before = Round(assignments_before, rewards_before, metrics_before)
    now = Round(assignments, rewards, metrics)
    summary = {
        **round_change(before, now, prompts, routed_calls.to_table(), list(teachers.root)),
        "focus": focus_counts(focus.to_table(), 1, 0),
        "accuracy": _accuracy(quality_before, quality, settings.confidence),
    }
    earlier = history["rounds"] if history else [{"accuracy": summary["accuracy"]["before"]}]
    after = {"accuracy": summary["accuracy"]["after"]}
    summary["rounds"] = [*earlier, after]
    return summary, rounds_page(summary)


def _accuracy(before: pads.Dataset, now: pads.Dataset, confidence: float) -> dict[str, Any]:
    """Return the student's test accuracy before and after the round, on the same prompts."""
    tables = [side.to_table(columns=_QUALITY) for side in (before, now)]
    first, second = (
        dict(zip(t["prompt_id"].to_pylist(), t["quality"].to_pylist(), strict=True)) for t in tables
    )
    ids = [prompt_id for prompt_id in first if prompt_id in second]
    return accuracy_summary([first[i] for i in ids], [second[i] for i in ids], confidence)
