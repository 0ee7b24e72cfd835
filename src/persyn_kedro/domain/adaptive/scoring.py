"""Responses to rewards, through the stores: what is known is not computed again."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.learnability.scoring import score_responses
from persyn_kedro.domain.quality.checking import check_quality, check_terms
from persyn_kedro.domain.quality.kinds import scorer_of
from persyn_kedro.domain.rewards.reward import compute_rewards
from persyn_kedro.domain.rewards.terms import combine_terms
from persyn_kedro.domain.stores.tables import QualityStore, StatisticsStore
from persyn_kedro.domain.teachers.asking import Asking
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
        calls: how a judge is asked.
    """

    prompts: dict[str, dict[str, Any]]
    models: Models
    teachers: Teachers
    student: StudentSettings
    label: LabelSettings
    statistics: StatisticsStore
    quality: QualityStore
    calls: Asking

    def tables(self, responses: pa.Table) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Return ``TOKEN_STATISTICS``, ``QUALITY`` and ``REWARDS`` of ``RESPONSES``."""
        student = self.student
        thinks = thinks_of(self.models, self.teachers)
        statistics = score_responses(
            responses,
            {prompt_id: prompt_of(row) for prompt_id, row in self.prompts.items()},
            thinks,
            resolve_models(self.models, [student.model])[student.model],
            student.system,
            self.statistics,
            self.label,
        )
        judged = (responses, self.prompts, thinks)
        if terms := self.label.terms:
            ways = {term.called: scorer_of(term, self.models, self.calls) for term in terms}
            each = check_terms(*judged, ways, self.quality)
            quality = combine_terms(responses, each, thinks, self.label)
        else:
            scorer = scorer_of(self.label.quality, self.models, self.calls)
            quality = check_quality(*judged, scorer, self.quality)
        names, tables = list(self.teachers.root), (responses, statistics, quality)
        return statistics, quality, compute_rewards(*tables, names, self.label)

    def rewards(self, responses: pa.Table) -> pa.Table:
        """Return ``schemas.REWARDS``."""
        return self.tables(responses)[2]
