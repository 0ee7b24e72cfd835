"""The student before and after training: test accuracy, and NLL of withheld responses."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.intervals import wilson
from persyn_kedro.domain.learnability import local_scorer, score_responses, token_statistics
from persyn_kedro.domain.planning import GENERATE, LABEL, against_actual
from persyn_kedro.domain.prompts import TEST, find_rows, find_texts, select_rows
from persyn_kedro.domain.quality import check_quality, reward_model_scores
from persyn_kedro.domain.reporting import (
    build_summary,
    compare_choices,
    design_notes,
    family_notes,
    frontier_plot,
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
    with_answers,
)
from persyn_kedro.domain.routers import check_assignments, weighed_by
from persyn_kedro.domain.stores import QualityStore, ResponseStore, StatisticsStore
from persyn_kedro.domain.student import (
    STUDENT,
    Exam,
    accuracy_summary,
    before_or_after,
    nll_summary,
)
from persyn_kedro.foundations.settings import (
    EngineSettings,
    EvaluateSettings,
    GenerateSettings,
    LabelSettings,
    Models,
    Needs,
    QualitySettings,
    RoundsSettings,
    RouteSettings,
    StudentSettings,
    Teachers,
    draws_several,
    leaves_out,
    step,
    thinks_of,
)


@step(needs=Needs.STUDENT, settings=("sampling",))
def answer_test(
    prompts: pads.Dataset,
    models: Models,
    student: StudentSettings,
    engine: EngineSettings,
    settings: EvaluateSettings,
    seed: int,
    response_store: ResponseStore,
    directory: Path | None = None,
) -> pa.Table:
    """Return the test answers of the student, or of the trained one in ``directory``."""
    exam = Exam(select_rows(prompts, TEST), student, settings, engine, seed)
    return exam.ask(before_or_after(models, student, directory), response_store)


@step(versions_of=(reward_model_scores,))
def check_test_answers(
    test_responses: pads.Dataset,
    source_prompts: pads.Dataset,
    models: Models,
    student: StudentSettings,
    quality_store: QualityStore,
) -> pa.Table:
    """Return the exact-match quality of the student's test answers."""
    responses = test_responses.to_table()
    return check_quality(
        responses,
        find_rows(source_prompts, responses["prompt_id"]),
        {STUDENT: models.root[student.model].think},
        QualitySettings(),
        None,
        quality_store,
    )


@step(
    versions_of=(token_statistics, local_scorer),
    needs=Needs.MODEL | Needs.CLUSTER,
    texts=("source_prompts",),
    label=(),
)
def score_withheld(
    sft_dataset: pads.Dataset,
    routed_responses: pads.Dataset,
    source_prompts: pads.Dataset,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    label: LabelSettings,
    statistics_store: StatisticsStore,
    directory: Path | None = None,
) -> pa.Table:
    """Return the statistics of withheld responses by the student, or by the trained one."""
    rows = sft_dataset.to_table(columns=["response_key", "part"]).to_pylist()
    withheld = {row["response_key"] for row in rows if row["part"] == "withheld"}
    responses = routed_responses.to_table()
    mask = [key in withheld for key in responses["response_key"].to_pylist()]
    responses = responses.filter(pa.array(mask, pa.bool_()))
    return score_responses(
        responses,
        dict(find_texts(source_prompts, responses["prompt_id"])),
        thinks_of(models, teachers),
        before_or_after(models, student, directory),
        student.system,
        statistics_store,
        label,
    )


@step(
    versions_of=(accuracy_summary, wilson),
    settings=("confidence",),
)
def measure_student(
    prompts: pads.Dataset,
    quality_before: pads.Dataset,
    quality_after: pads.Dataset,
    statistics_before: pads.Dataset,
    statistics_after: pads.Dataset,
    settings: EvaluateSettings,
) -> dict[str, Any]:
    """Return accuracy and NLL before and after, with n and intervals."""
    before, after = _by_prompt(quality_before), _by_prompt(quality_after)
    rows = select_rows(prompts, TEST, columns=["prompt_id", "reference"])
    ids = [row["prompt_id"] for row in rows if row["reference"] is not None]
    return {
        # Failed and missing answers are not in the table: they are unknown, never wrong.
        "accuracy": accuracy_summary(
            [before.get(i) for i in ids], [after.get(i) for i in ids], settings.confidence
        ),
        "nll": nll_summary(
            statistics_before.to_table().to_pylist(),
            statistics_after.to_table().to_pylist(),
            settings.confidence,
        ),
    }


def _by_prompt(quality: pads.Dataset) -> dict[str, float | None]:
    return {row["prompt_id"]: row["quality"] for row in quality.to_table().to_pylist()}


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


@step(versions_of=(reward_against_length,))
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
    ),
    prints={terminal_table: ("report_summary",)},
    only_if={
        draws_several: ("generate", "label.samples"),
        leaves_out: ("focus", "route", "rounds"),
    },
    models=("family",),
    label=("alpha", "learnability", "normalise"),
    route=("focus",),
    rounds=("count",),
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
    focus: pads.Dataset,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    label: LabelSettings,
    generate: GenerateSettings,
    frontier_before: pads.Dataset | None,
    route: RouteSettings,
    rounds: RoundsSettings,
) -> tuple[dict[str, Any], str]:
    """Return the report's content, and the report as a page."""
    summary = build_summary(
        assignments.to_table(),
        rewards.to_table(),
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
            *family_notes(rewards.to_table(), models, teachers, student, label),
            *label_notes(label),
            *design_notes(rewards.to_table()),
        ],
        focus if leaves_out((route, rounds)) else None,
    )
    made = {LABEL: calibration_calls.to_table(), GENERATE: routed_calls.to_table()}
    summary |= several_answers(rewards.to_table(), teachers, label, generate)
    if signal_comparison_before or signal_fit_before:
        summary["signals"] = {"compared": signal_comparison_before, "tried": signal_fit_before}
    if (weighed := weighed_by(assignments.schema)) is not None:
        summary["weighed"] = weighed
    if frontier_before is not None:
        summary["frontier"] = frontier_before.to_table().to_pylist()
    summary["estimate"] = against_actual(estimate.to_table(), made)
    return summary, report_page(summary, choice_samples)
