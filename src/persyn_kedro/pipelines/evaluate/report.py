"""The run's report: what was chosen, its plots and its page."""

from typing import Any

import pyarrow.dataset as pads

from persyn_kedro.domain.planning import GENERATE, LABEL, against_actual, judges_used
from persyn_kedro.domain.prompts import TEST, select_rows
from persyn_kedro.domain.quality import judged_of, self_judged
from persyn_kedro.domain.reporting import (
    build_summary,
    compare_choices,
    constant_notes,
    design_notes,
    family_notes,
    frontier_plot,
    judge_notes,
    label_notes,
    learnability_against_quality,
    loss_curve,
    plotly_figure,
    pool_notes,
    report_page,
    reward_against_length,
    several_answers,
    teacher_allocation,
    terminal_table,
    terms_summary,
    tied_notes,
    unsolved_notes,
    with_answers,
)
from persyn_kedro.domain.routers import check_assignments, weighed_by
from persyn_kedro.foundations.settings import (
    CLEANING,
    GenerateSettings,
    LabelSettings,
    Models,
    Needs,
    PrepareSettings,
    RoundsSettings,
    RouteSettings,
    StudentSettings,
    Teachers,
    asks_judge,
    cleans,
    draws_several,
    has_terms,
    leaves_out,
    step,
)


@step(
    versions_of=(compare_choices, check_assignments),
    label=("alpha",),
)
def sample_choices(
    assignments: pads.Dataset,
    rewards: pads.Dataset,
    prompts: pads.Dataset,
    calibration_responses: pads.Dataset,
    teachers: Teachers,
    label: LabelSettings,
) -> dict[str, Any]:
    """Return the router's choices compared with the strongest teacher, with sample answers."""
    comparison = compare_choices(
        assignments.to_table(columns=["prompt_id", "teacher"]),
        rewards.to_table(),
        prompts,
        list(teachers.root),
    )
    answered = with_answers(comparison, assignments, rewards, prompts, calibration_responses)
    return {"alpha": label.alpha, **answered}


@step(versions_of=(reward_against_length,), needs=Needs.DRAWINGS)
def draw_run_plots(
    rewards: pads.Dataset,
    token_statistics: pads.Dataset,
    report_summary: dict[str, Any],
    training_curve: list[dict[str, Any]],
    teachers: Teachers,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return reward by length, learnability by quality, allocation and loss, as Plotly JSON."""
    lengths = token_statistics.to_table(columns=["response_key", "tokens"]).to_pylist()
    tokens = {row["response_key"]: row["tokens"] for row in lengths}
    names = list(teachers.root)
    return (
        plotly_figure(reward_against_length(rewards.to_table(), tokens, names)),
        plotly_figure(learnability_against_quality(report_summary["teachers"])),
        plotly_figure(teacher_allocation(report_summary["teachers"])),
        plotly_figure(loss_curve(training_curve)),
    )


@step(
    versions_of=(
        build_summary, report_page, loss_curve, family_notes, frontier_plot, weighed_by,
        terms_summary, against_actual, constant_notes,
    ),
    needs=Needs.DRAWINGS,
    prints={terminal_table: ("report_summary",)},
    only_if={
        draws_several: ("generate", "label.samples"),
        leaves_out: ("focus", "route", "rounds"),
        cleans: ("dropped_prompts", "prepare"),
        has_terms: ("newest_quality_terms", "label.quality"),
        asks_judge: ("label.quality",),
    },
    models=("family",),
    label=("alpha", "learnability", "normalise"),
    route=("focus",),
    rounds=("count",),
    prepare=CLEANING,
)  # fmt: skip
def summarise(
    assignments: pads.Dataset,
    rewards: pads.Dataset,
    calibration_calls: pads.Dataset,
    routed_calls: pads.Dataset,
    routed_responses: pads.Dataset,
    prompts: pads.Dataset,
    sft_dataset: pads.Dataset,
    router_metrics: dict[str, Any],
    evaluation_metrics: dict[str, Any],
    choice_samples: dict[str, Any],
    estimate: pads.Dataset,
    signal_comparison_before: dict[str, Any] | None,
    signal_fit_before: dict[str, Any] | None,
    quality_comparison_before: dict[str, Any] | None,
    focus: pads.Dataset,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    label: LabelSettings,
    generate: GenerateSettings,
    frontier_before: pads.Dataset | None,
    route: RouteSettings,
    rounds: RoundsSettings,
    dropped_prompts: pads.Dataset,
    prepare: PrepareSettings,
    newest_quality_terms: pads.Dataset | None,
    student_comparison_before: dict[str, Any] | None,
) -> tuple[dict[str, Any], str]:
    """Return the report's content, and the report as a page."""
    rewarded = rewards.to_table()
    summary = build_summary(
        assignments.to_table(),
        rewarded,
        calibration_calls.to_table(),
        routed_calls.to_table(),
        routed_responses.to_table(),
        prompts,
        sft_dataset.to_table(),
        router_metrics,
        evaluation_metrics,
        teachers,
        generate,
        [
            *pool_notes(models, teachers, student),
            *family_notes(rewarded, models, teachers, student, label),
            *label_notes(label),
            *unsolved_notes(rewarded, label),
            *tied_notes(rewarded, label),
            *constant_notes(select_rows(prompts, TEST, columns=["source", "reference"])),
            *design_notes(rewarded),
            *judge_notes(rewarded),
            *self_judged(models, teachers, label.ways_by_key, student.model),
        ],
        focus if leaves_out((route, rounds)) else None,
        dropped_prompts if cleans([prepare]) else None,
    )
    judged = judges_used(judged_of(rewards.schema), label.ways)
    made = {LABEL: calibration_calls.to_table(), GENERATE: routed_calls.to_table()}
    summary |= several_answers(rewarded, teachers, label, generate)
    if signal_comparison_before or signal_fit_before:
        summary["signals"] = {"compared": signal_comparison_before, "tried": signal_fit_before}
    compared = student_comparison_before or {}
    if compared.get("sft") == evaluation_metrics:  # else of an earlier student
        summary["preferred_student"] = compared["dpo"]
    if quality_comparison_before is not None:
        summary["judgements"] = quality_comparison_before
    if label.terms and newest_quality_terms is not None:
        summary["quality_terms"] = terms_summary(
            newest_quality_terms.to_table(), label.terms, list(teachers.root)
        )
    if (weighed := weighed_by(assignments.schema)) is not None:
        summary["weighed"] = weighed
    if frontier_before is not None:
        summary["frontier"] = frontier_before.to_table().to_pylist()
    summary["estimate"] = against_actual(estimate.to_table(), made, judged)
    return summary, report_page(summary, choice_samples)
