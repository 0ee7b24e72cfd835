"""A student for each strategy and seed, from the same start, on the same test prompts."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.comparison.students import UNTRAINED
from persyn_kedro.domain.comparison.trial import (
    Setup,
    Trial,
    finished_trials,
    run_trial,
    trial_answers,
)
from persyn_kedro.domain.quality.checking import check_judged_alone, check_quality, check_rubric
from persyn_kedro.domain.quality.kinds import scorer_of
from persyn_kedro.domain.quality.scorer import Scorer
from persyn_kedro.domain.quality.verifier import can_judge, verifier_of
from persyn_kedro.domain.stores.tables import QualityStore, ResponseStore, TrialStore
from persyn_kedro.domain.student.test_set import STUDENT
from persyn_kedro.domain.teachers.asking import Asking
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.label import Ways
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.messages import prompt_of

log = logging.getLogger(__name__)

Stores = tuple[ResponseStore, QualityStore, TrialStore]


def check_test_set(test_prompts: Sequence[Mapping[str, Any]], quality: Ways) -> None:
    """Refuse a comparison that cannot measure anything, before a router or student is trained.

    Raises:
        PersynError: no test prompts, or none that can be judged.
    """
    if not test_prompts:
        raise PersynError("There are no test prompts to compare students on: raise "
                          "prepare.test_fraction, or add prompts.")  # fmt: skip
    unreferenced = not any(map(verifier_of(quality).judges, test_prompts))
    if unreferenced:
        check_rubric(test_prompts, quality)
        check_judged_alone(quality, "students' answers are judged one by one")
    if not can_judge(test_prompts, quality):
        raise PersynError(
            "No test prompt has a reference to check the students' answers against: add some, or "
            "set label.quality to {kind: reward_model, model: …}."
        )


def measure_of(
    test_prompts: Sequence[Mapping[str, Any]], quality: Ways, models: Models, calls: Asking
) -> Scorer:
    """Return how students' answers are judged: as right or wrong, where prompts allow it."""
    verifier = verifier_of(quality)
    return (
        verifier if any(map(verifier.judges, test_prompts)) else scorer_of(quality, models, calls)
    )


def run_trials(
    examples: pa.Table,
    setup: Setup,
    seeds: Sequence[int],
    quality: Ways,
    stores: Stores,
    workspace: Path,
    ledger: Ledger,
) -> pa.Table:
    """Return ``schemas.TRIALS``: the untrained student's rows, then each strategy's and seed's.

    Runs seed by seed, so that an interrupted comparison has complete seeds. Strategies with the
    same training set share their students, which are trained once.

    Args:
        examples: rows of ``schemas.STRATEGY_EXAMPLES``.
        quality: how answers without a reference are judged.
        ledger: what this run has spent so far, for a judge.
    """
    responses, qualities, trials = stores
    sets: dict[str, list[dict[str, Any]]] = {}
    for row in examples.to_pylist():
        pair = {"prompt": prompt_of(row), "response": row["response"]}
        sets.setdefault(row["strategy"], []).append(pair)
    if not sets:
        raise PersynError("No strategy has a training example: every response was left out.")
    answers: dict[tuple[str, int | None], list[dict[str, Any]]] = {
        (UNTRAINED, None): setup.exam.ask(setup.untrained, responses).to_pylist()
    }
    plan = [(name, seed, Trial(setup, rows, seed)) for seed in seeds for name, rows in sets.items()]
    prompt_ids = [row["prompt_id"] for row in setup.exam.prompts]
    with progress.watching("comparing", len(plan), "students") as watch:
        for place, (name, seed, trial) in enumerate(plan, start=1):
            row = finished_trials(trials).get(trial.trial_id)
            found = trial_answers(row, prompt_ids, responses) if row else []
            there = len(found) == len(prompt_ids)
            if not there:  # or part of the response store was lost
                log.info("Student %d of %d: %s, seed %d", place, len(plan), name, seed)
                with progress.part(strategy=name, seed=seed):
                    row = run_trial(trial, workspace, responses, trials)
                found = trial_answers(row, prompt_ids, responses)
            answers[name, seed] = found
            watch.advance(int(not there), skipped=int(there))
            progress.came_from_store(int(there), "students")
    exam = setup.exam
    calls = Asking(responses, exam.engine, exam.seed, ledger)
    measure = measure_of(exam.prompts, quality, setup.models, calls)
    return _judged(answers, setup, measure, qualities)


def _judged(
    answers: Mapping[tuple[str, int | None], Sequence[Mapping[str, Any]]],
    setup: Setup,
    measure: Scorer,
    store: QualityStore,
) -> pa.Table:
    """Return the trials with their answers' quality; unknown for failed ones."""
    once = {row["response_key"]: row for rows in answers.values() for row in rows}
    table = pa.Table.from_pylist(
        [{**row, "teacher": STUDENT} for row in once.values()], schemas.RESPONSES
    )
    think = setup.models.root[setup.exam.student.model].think
    prompts = {row["prompt_id"]: dict(row) for row in setup.exam.prompts}
    judged = check_quality(table, prompts, {STUDENT: think}, measure, store)
    quality = {row["response_key"]: row["quality"] for row in judged.to_pylist()}
    columns = ("prompt_id", "response_key", "finish_reason", "completion_tokens")
    rows = [
        {
            "strategy": name,
            "seed": seed,
            **{column: row[column] for column in columns},
            "quality": quality.get(row["response_key"]),
        }
        for (name, seed), own in answers.items()
        for row in own
    ]
    table, again = pa.Table.from_pylist(rows, schemas.TRIALS), schemas.unsettled_rows(judged.schema)
    return schemas.with_unsettled(table, again) if again else table
