"""Responses to rewards, through the stores: what is known is not computed again."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.learnability.scoring import score_responses
from persyn_kedro.domain.quality.checking import check_quality
from persyn_kedro.domain.rewards.reward import compute_rewards
from persyn_kedro.domain.stores.tables import QualityStore, StatisticsStore
from persyn_kedro.foundations.models.resolve import resolve_models
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.student import StudentSettings
from persyn_kedro.foundations.settings.teachers import Teachers, thinks_of
from persyn_kedro.foundations.tables.messages import prompt_of


@dataclass(frozen=True)
class Scoring:
    """How responses are scored.

    Attributes:
        prompts: rows of ``schemas.SOURCE_PROMPTS`` by prompt_id.
    """

    prompts: dict[str, dict[str, Any]]
    models: Models
    teachers: Teachers
    student: StudentSettings
    label: LabelSettings
    statistics: StatisticsStore
    quality: QualityStore

    def tables(self, responses: pa.Table) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Return ``TOKEN_STATISTICS``, ``QUALITY`` and ``REWARDS`` of ``RESPONSES``."""
        judge, student = self.label.quality.model, self.student
        models = resolve_models(self.models, [student.model, *([judge] if judge else [])])
        thinks = thinks_of(self.models, self.teachers)
        statistics = score_responses(
            responses,
            {prompt_id: prompt_of(row) for prompt_id, row in self.prompts.items()},
            thinks,
            models[student.model],
            student.system,
            self.statistics,
            self.label,
        )
        quality = check_quality(
            responses,
            self.prompts,
            thinks,
            self.label.quality,
            models[judge] if judge else None,
            self.quality,
        )
        names, tables = list(self.teachers.root), (responses, statistics, quality)
        return statistics, quality, compute_rewards(*tables, names, self.label)

    def rewards(self, responses: pa.Table) -> pa.Table:
        """Return ``schemas.REWARDS``."""
        return self.tables(responses)[2]
