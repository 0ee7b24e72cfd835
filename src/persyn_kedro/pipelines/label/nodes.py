"""Every teacher answers every calibration prompt; the answers become rewards."""

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.adaptive import Scoring, answer_adaptively, answer_by_design
from persyn_kedro.domain.designs import check_design
from persyn_kedro.domain.learnability import (
    local_scorer,
    score_responses,
    signal_of,
    token_statistics,
)
from persyn_kedro.domain.planning import Judging, estimate_table, read_prompts
from persyn_kedro.domain.prompts import (
    ANSWERED,
    CALIBRATION,
    JUDGED_BY,
    find_texts,
    round_schedule,
    select_ids,
    select_rows,
)
from persyn_kedro.domain.quality import Judge, check_can_be_labelled, reward_model_scores
from persyn_kedro.domain.rewards import combine_terms, compute_rewards, never_valid
from persyn_kedro.domain.stores import QualityStore, ResponseStore, StatisticsStore
from persyn_kedro.domain.student import before_or_after
from persyn_kedro.domain.teachers import Asking, Ledger, answer, resolve_recipes
from persyn_kedro.foundations.settings import (
    REWARD_FIELDS,
    EngineSettings,
    GenerateSettings,
    LabelSettings,
    Models,
    Needs,
    RoundsSettings,
    StudentSettings,
    Teachers,
    TrainRouterSettings,
    asks_adaptively,
    asks_judge,
    asks_some,
    draws_several,
    has_rounds,
    prices_if,
    step,
    thinks_of,
)
from persyn_kedro.foundations.tables import CALIBRATION_SET

log = logging.getLogger(__name__)


@step(settings=("alpha", "quality"))
def select_calibration_set(prompts: pads.Dataset, settings: LabelSettings) -> pa.Table:
    """Return the ids of the prompts that every teacher answers (``schemas.CALIBRATION_SET``).

    Raises:
        PersynError: they cannot give any reward; no teacher has been paid yet.
    """
    rows = select_rows(prompts, CALIBRATION, columns=["prompt_id", "part", *JUDGED_BY])
    check_can_be_labelled(rows, settings)
    return pa.Table.from_pylist(rows, CALIBRATION_SET)


@step(
    versions_of=(round_schedule, Judge),
    only_if={
        draws_several: ("generate",),
        asks_some: ("label", "seed"),
        has_rounds: ("rounds", "seed"),
        asks_judge: ("label", "label.quality"),
    },
    label=("design",),
)
def estimate_calls(
    prompts: pads.Dataset,
    models: Models,
    teachers: Teachers,
    engine: EngineSettings,
    generate: GenerateSettings,
    label: LabelSettings,
    rounds: RoundsSettings,
    seed: int,
    response_store: ResponseStore,
) -> pa.Table:
    """Return the PLAN of the calls to teachers and judge, before the first, for the report.

    It reads only what the calls depend on, so that it is rebuilt only with them. The store's
    content is not part of its record: like the table of the calls it describes one moment, and
    rebuilt after the calls it would say nothing about them (so do not raise its version).
    """
    read = read_prompts(prompts, teachers, label, rounds, seed)
    thinks, calls = thinks_of(models, teachers), Asking(response_store, engine, seed)
    judging = Judging(prompts, label.quality, thinks, calls)
    return estimate_table(read, models, teachers, engine, generate, response_store, judging)


@step(
    versions_of=(
        answer_adaptively, compute_rewards, signal_of, token_statistics, local_scorer,
        reward_model_scores, combine_terms, Judge,
    ),
    needs=Needs.TEACHERS,
    needs_if={asks_adaptively: Needs.JUDGE | Needs.MODEL | Needs.CLUSTER | Needs.ROUTER},
    check=check_design,
    texts=("source_prompts",),
    label=("design",),
    train_router=("backbone", "batch_size", "max_prompt_tokens"),
    only_if={asks_some: ("label",), **prices_if(
        asks_adaptively, "prompts", "student", "train_router", "quality_store", "label.alpha",
        "label.quality", "label.learnability", "label.normalise", "label.allow_truncated",
        "label.unsolved", "label.samples", "label.window", "label.local",
    )},
)  # fmt: skip
def answer_calibration_prompts(
    calibration_set: pads.Dataset,
    source_prompts: pads.Dataset,
    prompts: pads.Dataset,
    models: Models,
    teachers: Teachers,
    engine: EngineSettings,
    student: StudentSettings,
    train_router: TrainRouterSettings,
    label: LabelSettings,
    seed: int,
    response_store: ResponseStore,
    statistics_store: StatisticsStore,
    quality_store: QualityStore,
    ledger: Ledger,
) -> tuple[pa.Table, pa.Table]:
    """Return the teachers' responses to the calibration prompts, and the calls made for them.

    Whom each prompt is asked of is ``label.design``.
    """
    calibration, recipes = calibration_set.to_table(), resolve_recipes(teachers, models)
    adaptive = label.design.adaptive is not None
    rows = select_rows(prompts, CALIBRATION) if adaptive else []
    scoring = Scoring(
        {row["prompt_id"]: row for row in rows},
        models,
        teachers,
        student,
        label,
        statistics_store,
        quality_store,
        Asking(response_store, engine, seed, ledger),
    )
    return answer_by_design(
        find_texts(source_prompts, calibration["prompt_id"]),
        recipes,
        scoring,
        train_router,
        len(select_ids(prompts, ANSWERED)) if adaptive else 0,
        seed,
        lambda wanted: answer(wanted, recipes, response_store, engine, seed, ledger),
    )


@step(
    versions_of=(token_statistics, local_scorer),
    needs=Needs.MODEL | Needs.CLUSTER,
    texts=("source_prompts",),
    settings=("local",),
)
def score_learnability(
    calibration_responses: pads.Dataset,
    source_prompts: pads.Dataset,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    settings: LabelSettings,
    statistics_store: StatisticsStore,
    directory: Path | None = None,
) -> pa.Table:
    """Return the statistics of each response's tokens (``TOKEN_STATISTICS``).

    They are those of the student, or of the one trained in ``directory``.
    """
    responses = calibration_responses.to_table()
    return score_responses(
        responses,
        dict(find_texts(source_prompts, responses["prompt_id"])),
        thinks_of(models, teachers),
        before_or_after(models, student, directory),
        student.system,
        statistics_store,
        settings,
    )


@step(
    versions_of=(compute_rewards, signal_of),
    settings=REWARD_FIELDS,
)
def normalise_rewards(
    calibration_responses: pads.Dataset,
    token_statistics: pads.Dataset,
    quality: pads.Dataset,
    teachers: Teachers,
    settings: LabelSettings,
) -> pa.Table:
    """Return normalised terms and r = (1 - alpha) r_q + alpha r_l (``schemas.REWARDS``)."""
    table = compute_rewards(
        calibration_responses.to_table(),
        token_statistics.to_table(),
        quality.to_table(),
        list(teachers.root),
        settings,
    )
    for teacher in never_valid(table):
        log.warning("Teacher %s has no valid response to any calibration prompt", teacher)
    return table
