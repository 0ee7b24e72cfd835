"""The student before and after fine-tuning, as a model that is asked its test prompts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.teachers.answering import answer
from persyn_kedro.domain.teachers.recipes import Recipe
from persyn_kedro.foundations.model_parameters import (
    EngineSettings,
    Models,
    ModelSettings,
    StudentSettings,
)
from persyn_kedro.foundations.step_parameters import EvaluateSettings
from persyn_kedro.foundations.weights import ResolvedModel, resolve_model, resolve_models

STUDENT = "student"  # what the column `teacher` of its own answers says


def untrained(models: Models, student: StudentSettings) -> ResolvedModel:
    """Return the student as it was."""
    return resolve_models(models, [student.model])[student.model]


def trained(models: Models, student: StudentSettings, directory: Path) -> ResolvedModel:
    """Return the student in ``directory``: with the dtype and think setting of its origin."""
    origin = models.root[student.model]
    settings = ModelSettings(
        local=str(directory),
        dtype=origin.dtype,
        think=origin.think,
        allow_remote_code=origin.allow_remote_code,
    )
    return resolve_model(f"{student.model} after SFT", settings)


def student_recipe(
    model: ResolvedModel, student: StudentSettings, settings: EvaluateSettings
) -> Recipe:
    """Return how the student is asked."""
    return Recipe(STUDENT, model, student.system, settings.sampling, 0.0)


def ask_student(
    model: ResolvedModel,
    test_prompts: Sequence[Mapping[str, Any]],
    student: StudentSettings,
    engine: EngineSettings,
    settings: EvaluateSettings,
    seed: int,
    store: ResponseStore,
) -> pa.Table:
    """Return the student's answers to the test prompts (``schemas.RESPONSES``)."""
    pairs = [(row["prompt_id"], row["prompt"]) for row in test_prompts]
    recipe = student_recipe(model, student, settings)
    return answer({STUDENT: pairs}, [recipe], store, engine, seed)[0]
