"""Asking the student its test prompts, before and after: one place, so that all are asked alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.client import answer
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.models import EngineSettings, StudentSettings
from persyn_kedro.foundations.settings.steps import EvaluateSettings

STUDENT = "student"  # what the column `teacher` of its own answers says


@dataclass(frozen=True)
class Exam:
    """The test prompts (rows of ``schemas.SOURCE_PROMPTS``), and how the student is asked them."""

    prompts: Sequence[Mapping[str, Any]]
    student: StudentSettings
    settings: EvaluateSettings
    engine: EngineSettings
    seed: int

    def recipe(self, model: ResolvedModel) -> Recipe:
        """Return how this student, trained or not, is asked."""
        return Recipe(STUDENT, model, self.student.system, self.settings.sampling, 0.0)

    def ask(self, model: ResolvedModel, store: ResponseStore) -> pa.Table:
        """Return this student's answers (``schemas.RESPONSES``), paid for once."""
        pairs = [(row["prompt_id"], row["prompt"]) for row in self.prompts]
        return answer({STUDENT: pairs}, [self.recipe(model)], store, self.engine, self.seed)[0]
