"""A trial: the student is trained on one set with one seed, and answers the test prompts.

A trial's identity is a hash (:attr:`Trial.trial_id`), and its answers are stored: trials with
equal training sets are the same trial, and an interrupted comparison resumes after the last
finished trial, or within one from the last checkpoint.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from persyn_kedro.domain.stores.tables import TRIALS, ResponseStore, TrialStore
from persyn_kedro.domain.student import sft
from persyn_kedro.domain.student.before_after import trained, untrained
from persyn_kedro.domain.student.test_set import Exam
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes.together import train_together
from persyn_kedro.foundations.prompts.conversation import as_json
from persyn_kedro.foundations.settings.marks import lasting
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.student import SftSettings

VERSION = 1  # raise it when the same inputs give another result

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setup:
    """What all trials of a comparison have in common."""

    models: Models
    sft: SftSettings
    exam: Exam

    @property
    def untrained(self) -> ResolvedModel:
        """The student that all trials start from."""
        return untrained(self.models, self.exam.student)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that a trial's answers depend on, except its training set and its seed."""
        model = self.untrained
        recipe = self.exam.recipe(model)
        return {
            "version": VERSION + sft.VERSION,
            "weights_id": recipe.weights_id,
            "recipe_id": recipe.recipe_id,
            "sft": lasting(self.sft),
            "test": [row["prompt_id"] for row in self.exam.prompts],
            "max_model_len": self.exam.engine.max_model_len,
            "dtype": model.settings.dtype,
        }


@dataclass(frozen=True)
class Trial:
    """Training rows (prompt and response, as trained on) and the training's seed."""

    setup: Setup
    rows: Sequence[Mapping[str, Any]]
    seed: int

    @cached_property
    def trial_id(self) -> str:
        """The identity that the trial's answers are stored under."""
        rows = [[as_json(row["prompt"]), row["response"]] for row in self.rows]
        return settings_id({**self.setup.identity, "rows": rows, "seed": self.seed})


def finished_trials(store: TrialStore) -> dict[str, dict[str, Any]]:
    """Return the stored trials by trial_id."""
    return {row["trial_id"]: row for row in store.read(TRIALS).to_pylist()}


def run_trial(
    trial: Trial, workspace: Path, responses: ResponseStore, store: TrialStore
) -> dict[str, Any]:
    """Train the student, let it answer, store the answers, and return a row of ``STORED_TRIALS``.

    Failed answers are stored as failed and not asked for again: the student no longer exists.
    """
    setup = trial.setup
    curve = train_together(
        sft.train_student_job,
        [dict(row) for row in trial.rows],
        setup.untrained,
        setup.exam.student.system,
        setup.sft,
        trial.seed,
        workspace,
        checkpoints=workspace,
        sharded=True,
        label="fine-tuning a student",
    )
    left_out = list(curve)[0]["left_out"]  # the model is complete once the curve has ended
    if left_out:
        log.warning("Left out %d of %d training rows: too long", left_out, len(trial.rows))
    model = trained(setup.models, setup.exam.student, workspace / "model")
    setup.exam.ask(model, responses)
    recipe = setup.exam.recipe(model)
    row = {
        "trial_id": trial.trial_id,
        "weights_id": recipe.weights_id,
        "recipe_id": recipe.recipe_id,
    }
    store.append(TRIALS, [row])
    shutil.rmtree(workspace / "model")
    shutil.rmtree(workspace / "checkpoints", ignore_errors=True)
    return row


def trial_answers(
    row: Mapping[str, Any], prompt_ids: Sequence[str], responses: ResponseStore
) -> list[dict[str, Any]]:
    """Return a finished trial's answers, rows of ``schemas.STORED_RESPONSES``, in this order."""
    shelf = settings_id({"weights_id": row["weights_id"], "recipe_id": row["recipe_id"]})
    found = {answer["prompt_id"]: answer for answer in responses.read(shelf).to_pylist()}
    return [found[prompt_id] for prompt_id in prompt_ids if prompt_id in found]
