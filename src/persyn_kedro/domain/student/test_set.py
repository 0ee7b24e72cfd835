"""Lets the student answer its test prompts, before and after, in exactly the same way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.client import answer
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.prompts.conversation import SystemOrder, own_system
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.foundations.settings.student import EvaluateSettings, StudentSettings
from persyn_kedro.foundations.tables.messages import prompt_of

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
        systems = any(own_system(prompt_of(row)) is not None for row in self.prompts)
        return student_recipe(model, self.student, self.settings.sampling, systems)

    def ask(self, model: ResolvedModel, store: ResponseStore) -> pa.Table:
        """Return this student's answers (``schemas.RESPONSES``), each generated only once."""
        pairs = [(row["prompt_id"], prompt_of(row)) for row in self.prompts]
        return answer({STUDENT: pairs}, [self.recipe(model)], store, self.engine, self.seed)[0]


def student_recipe(
    model: ResolvedModel, student: StudentSettings, sampling: SamplingSettings, systems: bool
) -> Recipe:
    """Return how a student is prompted.

    Args:
        systems: whether a prompt has a system message of its own, which then comes before the
            student's. As a teacher, the same model would be asked in another order.
    """
    order: SystemOrder = "row_first" if systems and student.system else "join"
    return Recipe(STUDENT, model, student.system, sampling, row_system=order)
