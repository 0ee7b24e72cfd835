"""Several ways of judging where one must do: an answer without the others to its prompt."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.quality.judge.note import with_notes_of
from persyn_kedro.domain.quality.scorer import Answer, Key, Scorer
from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.foundations.hashing import settings_id


@dataclass(frozen=True)
class FirstThatCan(Scorer):
    """Judges each answer by the first way that its prompt has what it takes for.

    So the answers to one prompt are judged in the same way. What was found is on that way's own
    shelf of the store.
    """

    ways: tuple[Scorer, ...]

    @property
    def identity(self) -> dict[str, str]:
        """The ways, in order."""
        ids = {str(n): settings_id(way.identity) for n, way in enumerate(self.ways)}
        return {"kind": "first_that_can", **ids}

    def judges(self, prompt: Mapping[str, Any]) -> bool:
        """Return whether one of the ways can."""
        return any(way.judges(prompt) for way in self.ways)

    def scores(self, answers: Sequence[Answer]) -> Iterator[tuple[Key, float | None]]:
        """Yield what each answer's way yields; unknown if there is none."""
        for way, own in self._shared(answers):
            yield from way.scores(own) if way else ((answer.key, None) for answer in own)

    def stored(self, store: QualityStore) -> Any:
        """Return what the store has from each way."""
        return [way.stored(store) for way in self.ways]

    def qualities(
        self, answers: Sequence[Answer], store: QualityStore, stored: Any = None
    ) -> dict[Key, float | None]:
        """Return each answer's quality, through its way's shelf of the store."""
        found: dict[Key, float | None] = {}
        for way, own in self._shared(answers):
            if way is None:
                found |= {answer.key: None for answer in own}
                continue
            known = None if stored is None else stored[self.ways.index(way)]
            found |= way.qualities(own, store, known)
        return found

    def noted(self, table: pa.Table, answers: Sequence[Answer]) -> pa.Table:
        """Return the table with what each way notes of the answers that it judged."""
        parts = []
        for way, own in self._shared(answers):
            if way is not None:
                prompts = {answer.prompt["prompt_id"] for answer in own}
                rows = pa.array([answer.prompt["prompt_id"] in prompts for answer in answers])
                parts.append(way.noted(table.filter(rows), own))
        return with_notes_of(table, parts)

    def _shared(self, answers: Sequence[Answer]) -> list[tuple[Scorer | None, list[Answer]]]:
        shares: dict[int, list[Answer]] = {}
        for answer in answers:
            able = (n for n, way in enumerate(self.ways) if way.judges(answer.prompt))
            shares.setdefault(next(able, -1), []).append(answer)
        return [(self.ways[n] if n >= 0 else None, own) for n, own in shares.items()]
