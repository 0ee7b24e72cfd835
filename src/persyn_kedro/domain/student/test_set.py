"""Lets the student answer its test prompts, before and after, in exactly the same way."""

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

STUDENT = "student"  # the `teacher` of its own answers


@dataclass(frozen=True)
class Exam:
    """The test prompts (rows of ``schemas.SOURCE_PROMPTS``), and how the student is asked."""

    prompts: Sequence[Mapping[str, Any]]
    student: StudentSettings
    settings: EvaluateSettings
    engine: EngineSettings
    seed: int

    def recipe(self, model: ResolvedModel) -> Recipe:
        """Return how this student, trained or not, is prompted."""
        return Recipe(STUDENT, model, self.student.system, self.settings.sampling, 0.0)

    def ask(self, model: ResolvedModel, store: ResponseStore) -> pa.Table:
        """Return this student's answers (``schemas.RESPONSES``), each generated only once."""
        pairs = [(row["prompt_id"], row["prompt"]) for row in self.prompts]
        return answer({STUDENT: pairs}, [self.recipe(model)], store, self.engine, self.seed)[0]
