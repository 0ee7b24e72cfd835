"""Each teacher answers only its own prompts; the answers become the training set."""

from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.pool import thinks_of
from persyn_kedro.domain.prompts.selection import select_prompts
from persyn_kedro.domain.quality.checking import check_quality
from persyn_kedro.domain.routers.assignment import check_assignments
from persyn_kedro.domain.stores.quality_store import QualityStore
from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.teachers.answering import answer
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.domain.teachers.recipes import pool_identity, resolve_recipes
from persyn_kedro.domain.training_set import merge
from persyn_kedro.domain.training_set.routed import routed_generation
from persyn_kedro.foundations import schemas
from persyn_kedro.foundations.parameters import (
    EngineSettings,
    GenerateSettings,
    LabelSettings,
    Models,
    QualitySettings,
    StudentSettings,
    Teachers,
)
from persyn_kedro.foundations.step import step

_NO_QUALITY = pa.Table.from_pylist([], schemas.QUALITY)


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
    thinks = thinks_of(models, teachers)

    def ask(wanted: dict[str, list[tuple[str, str]]]) -> tuple[pa.Table, pa.Table]:
        return answer(wanted, recipes, response_store, engine, seed, ledger, go_on=True)

    def check(responses: pa.Table) -> pa.Table:
        with_reference = {p: row for p, row in rows.items() if row["reference"] is not None}
        mask = [p in with_reference for p in responses["prompt_id"].to_pylist()]
        checkable = responses.filter(pa.array(mask, pa.bool_()))
        if not len(checkable):
            return _NO_QUALITY
        exact = QualitySettings(kind="exact_answer")
        return check_quality(checkable, with_reference, thinks, exact, None, quality_store)

    return routed_generation(
        {prompt_id: row["prompt"] for prompt_id, row in rows.items()},
        _scores(assignments),
        list(teachers.root),
        settings,
        label.allow_truncated,
        ask,
        check,
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
    known = rewards.to_table().to_pylist()
    return merge.build_sft_dataset(
        routed_responses.to_table(),
        _training_prompts(prompts, splits),
        _scores(assignments),
        {(row["prompt_id"], row["teacher"]): row["reward"] for row in known},
        thinks_of(models, teachers),
        student.system,
        label.allow_truncated,
        _unsolved(known) if label.unsolved == "leave_out" else frozenset(),
    )


def _unsolved(rewards: list[dict[str, Any]]) -> frozenset[str]:
    """Return the calibration prompts that labelling left out: no response of theirs is valid."""
    kept = {row["prompt_id"] for row in rewards if row["valid"]}
    return frozenset(row["prompt_id"] for row in rewards) - kept


def _training_prompts(prompts: pads.Dataset, splits: pads.Dataset) -> dict[str, dict[str, Any]]:
    rows = select_prompts(prompts.to_table(), splits.to_table(), {"calibration", "train"})
    return {row["prompt_id"]: row for row in rows}


def _scores(assignments: pads.Dataset) -> dict[str, list[float]]:
    table = assignments.to_table(columns=["prompt_id", "scores"])
    return {row["prompt_id"]: row["scores"] for row in table.to_pylist()}
