"""One student per strategy and seed, all tested on the same prompts."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.comparison import Setup, check_test_set, run_trials
from persyn_kedro.domain.prompts import JUDGED_BY, TEST, find_rows, select_rows
from persyn_kedro.domain.quality import Judge, reward_model_scores
from persyn_kedro.domain.reporting import constant_notes
from persyn_kedro.domain.stores import QualityStore, ResponseStore, TrialStore
from persyn_kedro.domain.student import Exam, train_student_job
from persyn_kedro.domain.teachers import Ledger
from persyn_kedro.foundations.settings import (
    CompareSettings,
    EngineSettings,
    EvaluateSettings,
    LabelSettings,
    Models,
    Needs,
    SftSettings,
    StudentSettings,
    asks_judge,
    step,
)
from persyn_kedro.foundations.tables import TEST_SET


@step(versions_of=(constant_notes,), label=("quality",))
def select_test_set(prompts: pads.Dataset, label: LabelSettings) -> tuple[pa.Table, dict[str, Any]]:
    """Return the ids of the prompts that all students answer (``schemas.TEST_SET``), and notes.

    Raises:
        PersynError: they cannot be used to compare students; nothing has been paid or trained yet.
    """
    rows = select_rows(prompts, TEST, columns=["prompt_id", "source", *JUDGED_BY])
    check_test_set(rows, label.quality)
    return pa.Table.from_pylist(rows, TEST_SET), {"constant_answers": constant_notes(rows)}


@step(
    versions_of=(Setup, train_student_job, reward_model_scores, Judge),
    needs=Needs.TRAINER | Needs.PROCESSES | Needs.STUDENT | Needs.JUDGE,
    needs_if={asks_judge: Needs.TEACHERS},
    evaluate=("sampling",),
    label=("quality",),
    settings=("seeds",),
)
def train_and_test_students(
    strategy_examples: pads.Dataset,
    test_set: pads.Dataset,
    source_prompts: pads.Dataset,
    models: Models,
    student: StudentSettings,
    sft: SftSettings,
    evaluate: EvaluateSettings,
    engine: EngineSettings,
    label: LabelSettings,
    settings: CompareSettings,
    seed: int,
    response_store: ResponseStore,
    quality_store: QualityStore,
    trial_store: TrialStore,
    workspace: Path,
    ledger: Ledger,
) -> pa.Table:
    """Return the quality of the test answers, by strategy and seed (``schemas.TRIALS``)."""
    test = list(find_rows(source_prompts, test_set.to_table()["prompt_id"]).values())
    return run_trials(
        strategy_examples.to_table(),
        Setup(models, sft, Exam(test, student, evaluate, engine, seed)),
        settings.seeds,
        label.quality,
        (response_store, quality_store, trial_store),
        workspace,
        ledger,
    )
