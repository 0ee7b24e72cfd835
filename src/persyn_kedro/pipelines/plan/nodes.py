"""Estimate what a run would take, without loading a model or making an API call."""

from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.cleaning import dropped_counts
from persyn_kedro.domain.designs import check_design
from persyn_kedro.domain.planning import Judging, Work, make_plan, read_prompts
from persyn_kedro.domain.prompts import CALIBRATION, JUDGED_BY, select_rows
from persyn_kedro.domain.quality import check_can_be_labelled
from persyn_kedro.domain.reporting import plan_text
from persyn_kedro.domain.stores import ResponseStore
from persyn_kedro.domain.teachers import Asking
from persyn_kedro.foundations.settings import (
    PRICES,
    EngineSettings,
    EvaluateSettings,
    GenerateSettings,
    LabelSettings,
    Models,
    PrepareSettings,
    RoundsSettings,
    RouteSettings,
    SftSettings,
    StudentSettings,
    Teachers,
    cleans,
    step,
    thinks_of,
)


def _text(plan: pads.Dataset, summary: dict[str, Any]) -> str:
    return plan_text(plan.to_table().to_pylist(), summary)


@step(
    always=True,
    prints={_text: ("plan", "plan_summary")},
    teachers=PRICES,
    check=check_design,
    label=("alpha", "quality", "design", "normalise"),
    route=("focus", "objective", "budget", "capacity"),
)
def plan_run(
    prompts: pads.Dataset,
    routed_before: pads.Dataset | None,
    focused_before: pads.Dataset | None,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    engine: EngineSettings,
    generate: GenerateSettings,
    sft: SftSettings,
    evaluate: EvaluateSettings,
    label: LabelSettings,
    seed: int,
    route: RouteSettings,
    rounds: RoundsSettings,
    dropped_prompts: pads.Dataset,
    prepare: PrepareSettings,
    response_store: ResponseStore,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return the PLAN and its totals, given what is in the store now.

    Raises:
        PersynError: these calibration prompts cannot give any reward.
    """
    rows = select_rows(prompts, CALIBRATION, columns=["part", *JUDGED_BY])
    check_can_be_labelled(rows, label)  # as the run would
    work = Work(models, teachers, student, engine, generate, sft, evaluate, route, rounds)
    calls = Asking(response_store, engine, seed)
    judging = Judging(prompts, label.quality, thinks_of(models, teachers), calls)
    plan, summary = make_plan(
        read_prompts(prompts, teachers, label, rounds, seed),
        routed_before,
        work,
        response_store,
        focused_before,
        judging,
    )
    if cleans([prepare]):
        summary["dropped"] = dropped_counts(dropped_prompts)
    return plan, summary
