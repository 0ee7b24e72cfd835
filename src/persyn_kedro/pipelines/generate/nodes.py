"""Each teacher answers only its own prompts; the answers become the training set."""

from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.pool import thinks_of
from persyn_kedro.domain.prompts.selection import select_prompts
from persyn_kedro.domain.rewards import unsolved_prompts
from persyn_kedro.domain.routers.assignment import check_assignments
from persyn_kedro.domain.stores.quality_store import QualityStore
from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.teachers.answering import answer
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.domain.teachers.recipes import pool_identity, resolve_recipes
from persyn_kedro.domain.training_set import merge
from persyn_kedro.domain.training_set.checking import exact_checker
from persyn_kedro.domain.training_set.routed import routed_generation
from persyn_kedro.foundations.model_parameters import (
    EngineSettings,
    Models,
    StudentSettings,
    Teachers,
)
from persyn_kedro.foundations.step import step
from persyn_kedro.foundations.step_parameters import GenerateSettings, LabelSettings


@step(label=("allow_truncated",))
def generate_responses(
    prompts: pads.Dataset,
    splits: pads.Dataset,
    assignments: pads.Dataset,
    models: Models,
    teachers: Teachers,
    engine: EngineSettings,
    settings: GenerateSettings,
    label: LabelSettings,
    seed: int,
    response_store: ResponseStore,
    quality_store: QualityStore,
    ledger: Ledger,
) -> tuple[pa.Table, pa.Table]:
    """Return the routed responses of calibration and train prompts, and the calls made."""
    rows = _training_prompts(prompts, splits)
    recipes = resolve_recipes(teachers, models)
    check_assignments(assignments.schema, pool_identity(recipes))

    def ask(wanted: dict[str, list[tuple[str, str]]]) -> tuple[pa.Table, pa.Table]:
        return answer(wanted, recipes, response_store, engine, seed, ledger, go_on=True)

    return routed_generation(
        {prompt_id: row["prompt"] for prompt_id, row in rows.items()},
        _scores(assignments),
        list(teachers.root),
        settings,
        label.allow_truncated,
        ask,
        exact_checker(rows, thinks_of(models, teachers), quality_store),
    )


@step(label=("allow_truncated", "unsolved"))
def build_sft_dataset(
    routed_responses: pads.Dataset,
    prompts: pads.Dataset,
    splits: pads.Dataset,
    assignments: pads.Dataset,
    rewards: pads.Dataset,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    label: LabelSettings,
) -> pa.Table:
    """Return the merged training set (``schemas.SFT_DATASET``)."""
    known = rewards.to_table()
    return merge.build_sft_dataset(
        routed_responses.to_table(),
        _training_prompts(prompts, splits),
        _scores(assignments),
        {(row["prompt_id"], row["teacher"]): row["reward"] for row in known.to_pylist()},
        thinks_of(models, teachers),
        student.system,
        label.allow_truncated,
        unsolved_prompts(known) if label.unsolved == "leave_out" else frozenset(),
    )


def _training_prompts(prompts: pads.Dataset, splits: pads.Dataset) -> dict[str, dict[str, Any]]:
    rows = select_prompts(prompts.to_table(), splits.to_table(), {"calibration", "train"})
    return {row["prompt_id"]: row for row in rows}


def _scores(assignments: pads.Dataset) -> dict[str, list[float]]:
    table = assignments.to_table(columns=["prompt_id", "scores"])
    return {row["prompt_id"]: row["scores"] for row in table.to_pylist()}
