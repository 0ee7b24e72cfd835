"""Quality by a language model, asked like a teacher: each reply is stored, and paid for once."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts.chosen import ChosenPrompts
from persyn_kedro.domain.quality.judge.modes import MODES, Mode, Question
from persyn_kedro.domain.quality.judge.note import Judged, length_correlation, with_judged
from persyn_kedro.domain.quality.judge.rubric import Rubric, load_rubric
from persyn_kedro.domain.quality.scorer import Answer, Key, Scorer
from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.domain.teachers.asking import Asking
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.models.rendering import visible_text
from persyn_kedro.foundations.prompts.conversation import prompt_id_of
from persyn_kedro.foundations.settings.label import QualitySettings
from persyn_kedro.foundations.settings.spending import Prices
from persyn_kedro.foundations.tables.messages import MESSAGES, PROMPT
from persyn_kedro.foundations.tables.rows import TableRows
from persyn_kedro.foundations.tables.schemas import unsettled_rows, with_unsettled

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

VERSION = 5  # raise it when the same replies give another quality, or note

JUDGE = "the judge"  # the `teacher` of its replies: no teacher's name has a space
_ASKED = pa.schema([("prompt_id", pa.string()), ("prompt", pa.string()), ("messages", MESSAGES)])
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judge(Scorer):
    """Judges by a language model's replies, which the store of responses keeps under its recipe.

    Their reading costs nothing and is not stored.

    Attributes:
        told: what the report says of all that this object has judged.
    """

    model: "ResolvedModel"
    settings: QualitySettings
    calls: Asking
    told: Counter[str] = field(default_factory=Counter, compare=False)

    @cached_property
    def rubric(self) -> Rubric:
        """The settings'."""
        return load_rubric(str(self.settings.rubric))

    @cached_property
    def mode(self) -> Mode:
        """The settings'."""
        return MODES[self.settings.mode](self.rubric, self.settings.samples)

    @property
    def prices(self) -> Prices:
        """Those of the calls as they are made."""
        return self.settings.prices.times(self.model.settings.price_factor)

    @cached_property
    def recipe(self) -> Recipe:
        """How the model is asked."""
        prices = self.prices
        return Recipe(
            JUDGE,
            self.model,
            None,
            self.settings.sampling,
            prices.completion,
            prices.prompt,
            self.settings.budget,
            reply_schema=self.mode.schema if self.settings.structured else None,
            place="label.quality",
        )

    @property
    def identity(self) -> dict[str, str]:
        """Model, sampling, rubric, mode, and how replies are read."""
        return {
            "kind": "judge",
            "weights_id": self.recipe.weights_id,
            "recipe_id": self.recipe.recipe_id,
            "rubric": self.rubric.identity,
            "mode": self.settings.mode,
            "samples": str(self.settings.samples),
            "version": str(VERSION),
        }

    @property
    def alone(self) -> bool:
        """Whether it judges each answer by itself: in the mode score."""
        return not self.settings.compares

    def judges(self, prompt: Mapping[str, Any]) -> bool:
        """Return whether the prompt has the reference that the rubric may need."""
        return not self.rubric.reference or prompt["reference"] is not None

    def scores(self, answers: Sequence[Answer]) -> Iterator[tuple[Key, float | None]]:
        """Yield (key, quality) for each answer; of a mode that compares, among these answers."""
        yield from self._judged(answers).items()

    def qualities(
        self, answers: Sequence[Answer], store: QualityStore, stored: pa.Table | None = None
    ) -> dict[Key, float | None]:
        """Return each answer's quality, by replies from the store if there are, else by new ones.

        Raises:
            PersynError: as ``teachers.client.make_sure``.
        """
        return self._judged(answers)

    def noted(self, table: pa.Table, answers: Sequence[Answer]) -> pa.Table:
        """Return QUALITY with the note for the report, and how many replies are asked for again."""
        quality = table["quality"].to_pylist()
        rows = [
            (answer.prompt["prompt_id"], value, len(answer.response))
            for answer, value in zip(answers, quality, strict=True)
        ]
        unsettled = self.told.pop("unsettled", 0)  # since the last note
        unknown, (length, prompts) = quality.count(None), length_correlation(rows)
        if unknown:
            _log.warning("%s gave no verdict on %d of %d answers, whose quality is unknown "
                         "(%d replies failed, %d are unreadable)", self.model.name, unknown,
                         len(rows), self.told["failed"], self.told["unreadable"])  # fmt: skip
        cost = self.prices.cost(self.told["prompt_tokens"], self.told["completion_tokens"])
        counts = {**self.told, "cost": cost}
        what = (self.model.name, str(self.settings.rubric), self.settings.mode)
        note = Judged(*what, len(rows), unknown, counts, length, prompts)
        return with_judged(with_unsettled(table, unsettled), [note])

    def lacking(self, answers: Sequence[Answer], stored: pa.ChunkedArray) -> int:
        """Return how many questions about these answers have no reply among the stored keys."""
        _, asked = self._about(answers)
        questions = [question for own in asked.values() for question in own]
        keys = {self.recipe.response_key(prompt_id_of(q.text), q.sample) for q in questions}
        known = pc.is_in(pa.array(sorted(keys), pa.string()), value_set=stored)
        return len(keys) - (pc.sum(known).as_py() or 0)

    def _judged(self, answers: Sequence[Answer]) -> dict[Key, float | None]:
        by_prompt, asked = self._about(answers)
        replies = self._replies([question for own in asked.values() for question in own])
        found: dict[Key, float | None] = {}
        for prompt_id, own in by_prompt.items():
            judged = [
                (question, verdict)
                for question in asked[prompt_id]
                if (verdict := self._verdict(question, replies)) is not None
            ]
            texts = distinct(own)
            values = self.mode.qualities(len(texts), judged, self.told)
            if len(texts) == 1 and len(own) > 1 and self.mode.tie is not None:
                values = [self.mode.tie]
            by_text = dict(zip(texts, values, strict=True))
            found |= {answer.key: by_text[answer.response] for answer in own}
        return found

    def _about(
        self, answers: Sequence[Answer]
    ) -> tuple[dict[str, list[Answer]], dict[str, list[Question]]]:
        """Return by prompt_id the answers, and the questions about them."""
        by_prompt: dict[str, list[Answer]] = {}
        for answer in answers:
            by_prompt.setdefault(answer.prompt["prompt_id"], []).append(answer)
        asked = {
            prompt_id: list(self.mode.questions(own[0].prompt, distinct(own)))
            if own[0].prompt["reference"] is not None or not self.rubric.reference
            else []
            for prompt_id, own in by_prompt.items()
        }
        return by_prompt, asked

    def _verdict(
        self, question: Question, replies: Mapping[tuple[str, int], str | None]
    ) -> Any | None:
        reply = replies[question.text, question.sample]
        verdict = None if reply is None else self.mode.read(reply, question)
        self.told["replies"] += 1
        self.told["failed"] += reply is None
        self.told["unreadable"] += reply is not None and verdict is None
        return verdict

    def _replies(self, questions: Sequence[Question]) -> dict[tuple[str, int], str | None]:
        """Return by text and sample what the judge says; None if the call failed."""
        self.told.update(dict.fromkeys(("calls", "prompt_tokens", "completion_tokens"), 0))
        if not questions:
            return {}
        places = {text: n for n, text in enumerate(dict.fromkeys(q.text for q in questions))}
        ids = [prompt_id_of(text) for text in places]
        columns = {"prompt_id": ids, "prompt": list(places), "messages": [None] * len(ids)}
        table = pa.Table.from_pydict(columns, _ASKED)
        wanted = [*dict.fromkeys((places[q.text], q.sample) for q in questions)]
        rows, samples = np.array(wanted, np.int64).reshape(-1, 2).T
        chosen = ChosenPrompts(
            TableRows(pads.dataset(table), PROMPT),
            table["prompt_id"].combine_chunks(),
            rows,
            samples.astype(np.int16),
        )
        responses = self.calls.answer({JUDGE: chosen}, [self.recipe])
        self.told["unsettled"] += unsettled_rows(responses.schema)
        self.told["calls"] += len(responses)
        for tokens in ("prompt_tokens", "completion_tokens"):
            self.told[tokens] += pc.sum(responses[tokens]).as_py() or 0
        said = {
            (row["prompt_id"], row["sample_index"]): visible_text(row["response"], "strip")
            for row in responses.to_pylist()
            if row["finish_reason"] != "error"
        }
        return {(q.text, q.sample): said.get((ids[places[q.text]], q.sample)) for q in questions}


def distinct(answers: Sequence[Answer]) -> list[str]:
    """Return the different texts among answers: the same one is judged once."""
    return list(dict.fromkeys(answer.response for answer in answers))
