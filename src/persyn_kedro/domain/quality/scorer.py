"""What a way of judging answers is: the contract of every kind of quality."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.hashing import settings_id

_CHUNK = 256
UNIT = "answers judged"

Key = tuple[str, str]  # response_key, reference_id


@dataclass(frozen=True)
class Answer:
    """An answer to be judged.

    Attributes:
        key: the response's key, and the id of what it is checked against and how it is read.
        prompt: a row of ``schemas.SOURCE_PROMPTS``.
        response: the visible text.
    """

    key: Key
    prompt: Mapping[str, Any]
    response: str


class Scorer(ABC):
    """A way of judging answers one by one; what it found once is in the store."""

    @property
    @abstractmethod
    def identity(self) -> dict[str, str]:
        """All that decides its results beside the answers; the store's shelf is its hash."""

    @abstractmethod
    def scores(self, answers: Sequence[Answer]) -> Iterator[tuple[Key, float | None]]:
        """Yield (key, quality) for each answer; None if unknown. Higher is better."""

    @property
    def label(self) -> str:
        """What the progress line calls it."""
        return "checking answers"

    @property
    def alone(self) -> bool:
        """Whether it can judge an answer without the others to its prompt."""
        return True

    def judges(self, prompt: Mapping[str, Any]) -> bool:
        """Return whether a prompt has what its answers are judged by."""
        return True

    def keeps(self, quality: float | None) -> bool:
        """Return whether the store keeps this quality; what failed may be fixed by the next run."""
        return quality is not None

    def stored(self, store: QualityStore) -> Any:
        """Return all that the store has from this way of judging (``schemas.STORED_QUALITY``)."""
        return store.read(settings_id(self.identity))

    def qualities(
        self, answers: Sequence[Answer], store: QualityStore, stored: Any = None
    ) -> dict[Key, float | None]:
        """Return each answer's quality: from the store if known, else judged now.

        Args:
            stored: what ``stored`` returned, for a caller that judges many tables.
        """
        shelf = settings_id(self.identity)
        store.describe(shelf, self.identity)
        stored = store.read(shelf) if stored is None else stored
        keys = pa.array([answer.key[0] for answer in answers], pa.string())
        own = stored.filter(pc.is_in(stored["response_key"], value_set=keys))
        known: dict[Key, float | None] = {
            (r["response_key"], r["reference_id"]): r["quality"] for r in own.to_pylist()
        }
        progress.came_from_store(sum(answer.key in known for answer in answers), UNIT)
        missing = list({a.key: a for a in answers if a.key not in known}.values())
        found = self._watched(missing) if missing else iter(())
        while chunk := list(islice(found, _CHUNK)):
            known.update(chunk)
            rows = [
                {"response_key": key, "reference_id": reference, "quality": quality}
                for (key, reference), quality in chunk
                if self.keeps(quality)
            ]
            store.append(shelf, rows)
        return {answer.key: known[answer.key] for answer in answers}

    def noted(self, table: pa.Table, answers: Sequence[Answer]) -> pa.Table:
        """Return their ``schemas.QUALITY`` with what the report says of how it came about."""
        return table

    def _watched(self, missing: Sequence[Answer]) -> Iterator[tuple[Key, float | None]]:
        with progress.watching(self.label, len(missing), UNIT) as watch:
            yield from watch.each(self.scores(missing), failed=self._failed)

    def _failed(self, scored: tuple[Key, float | None]) -> bool:
        return False
