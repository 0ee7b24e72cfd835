"""The calls of a judge: those about answers that are known, and about those to come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.planning.calls import LABEL
from persyn_kedro.domain.planning.known import Known
from persyn_kedro.domain.planning.lengths import BYTES_A_TOKEN, lengths_of
from persyn_kedro.domain.planning.prompts import Prompts
from persyn_kedro.domain.prompts.select import find_rows, find_texts
from persyn_kedro.domain.quality.checking import answers_of
from persyn_kedro.domain.quality.judge.judge import Judge
from persyn_kedro.domain.quality.scorer import Answer
from persyn_kedro.domain.teachers.asking import Asking
from persyn_kedro.domain.teachers.requests import answered_prompts, requests_for
from persyn_kedro.domain.teachers.result import results_of, with_texts
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.label import QualitySettings, Ways, ways_of
from persyn_kedro.foundations.settings.models import Think
from persyn_kedro.foundations.tables.messages import columns_of
from persyn_kedro.foundations.tables.schemas import RESPONSES


@dataclass(frozen=True)
class Judging:
    """How calibration answers are judged by a language model.

    Attributes:
        source: ``schemas.PROMPTS``.
        thinks: each teacher's ``think`` setting.
        calls: with the store; nothing is asked.
    """

    source: pads.Dataset
    quality: Ways
    thinks: Mapping[str, Think]
    calls: Asking

    @property
    def judges(self) -> list[QualitySettings]:
        """Those ways of judging that ask a model."""
        return [way for way in ways_of(self.quality) if way.kind == "judge"]

    def rows(
        self, prompts: Prompts, pool: Sequence[Known], models: Mapping[str, ResolvedModel]
    ) -> list[dict[str, Any]]:
        """Return each judge's row of PLAN.

        Equal answers to a prompt, which are judged once, count as different until they are known.
        """
        judges = [Judge(models[str(way.model)], way, self.calls) for way in self.judges]
        return [self._row(judge, prompts, pool) for judge in judges]

    def _row(self, judge: Judge, prompts: Prompts, pool: Sequence[Known]) -> dict[str, Any]:
        asked = {k.recipe.teacher: self._judged(judge, prompts, k) for k in pool}
        wanted = [ids for k in pool for ids in [asked[k.recipe.teacher]] * k.samples]
        known = self._known(pool, asked)
        total = _questions(judge, pa.concat_arrays(wanted))
        of_known = _questions(judge, pa.array([a.prompt["prompt_id"] for a in known], pa.string()))
        stored = answered_prompts(judge.recipe, self.calls.store, self.calls.engine)
        most = max(pc.value_counts(pa.concat_arrays(wanted)).field("counts").to_pylist(), default=0)
        length = sum(k.lengths.completion for k in pool) / len(pool)
        lengths = lengths_of(judge.recipe, stored, _examples(judge, prompts, most, length))
        calls = total - of_known + judge.lacking(known, stored["response_key"])
        return Known(judge.recipe, 1, {}, lengths).row(LABEL, total, calls)

    def _judged(self, judge: Judge, prompts: Prompts, known: Known) -> pa.Array:
        """Return the prompts of which a teacher's answers are judged."""
        ids = prompts.asked_of(known.recipe.teacher)
        if not judge.rubric.reference:
            return ids
        table = self.source.to_table(
            columns=["prompt_id"], filter=pads.field("reference").is_valid()
        )
        return ids.filter(pc.is_in(ids, value_set=table["prompt_id"].combine_chunks()))

    def _known(self, pool: Sequence[Known], asked: Mapping[str, pa.Array]) -> list[Answer]:
        """Return the answers to be judged that the store has."""
        recipes, store, wanted = [k.recipe for k in pool], self.calls.store, {}
        for known in pool:
            name, own = known.recipe.teacher, asked[known.recipe.teacher]
            there = [
                own.filter(pc.is_in(own, value_set=known.in_store(s))) for s in range(known.samples)
            ]
            first, *others = [
                chosen.sampled(np.full((len(chosen), 1), sample, np.int16))
                for sample, chosen in enumerate(find_texts(self.source, ids) for ids in there)
            ]
            wanted[name] = first.with_others(others)
        outcomes, _ = results_of(requests_for(wanted, recipes, store, self.calls.engine))
        responses = pa.Table.from_batches(with_texts(outcomes, recipes, store), RESPONSES)
        rows = find_rows(self.source, responses["prompt_id"])
        return [answer for answer, _ in answers_of(responses, rows, self.thinks)]


def models_of(judging: Judging | None) -> list[str]:
    """Return the models that judge, if any."""
    return [] if judging is None else [str(way.model) for way in judging.judges]


def _questions(judge: Judge, ids: pa.Array) -> int:
    """Return the number of questions about answers to these prompts, one for each answer."""
    counts = pc.value_counts(ids).field("counts").to_pylist()
    return sum(judge.mode.count(answers) for answers in counts)


def _examples(judge: Judge, prompts: Prompts, answers: int, tokens: float) -> list[str]:
    """Return questions about the sampled prompts, with answers of this length."""
    texts = [f"{number}{'x' * round(BYTES_A_TOKEN * tokens)}" for number in range(answers)]
    none = {"reference": None, "metadata": None}
    rows = [{**columns_of(prompt), **none} for prompt in prompts.sample]
    asked = (next(iter(judge.mode.questions(row, texts)), None) for row in rows)
    return [question.text for question in asked if question is not None]
