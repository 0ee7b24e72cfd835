"""What becomes of one model's answers: counted, booked, and stored chunk by chunk."""

import logging
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from persyn_kedro.domain.engines.base import Generation
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.hashing import as_unicode
from persyn_kedro.foundations.progress import Watch

log = logging.getLogger(__name__)

NOT_ASKED = "not asked: the model was stopped"
UNKNOWN_REASON = ": finish_reason "  # in the column `engine`, before a reason that is not known
JUDGED_FROM = 10  # answers before a model can be called a failing one


@dataclass(frozen=True, slots=True)
class Call:
    """A response that the store lacks, and the first teacher that wants it, who pays."""

    key: str
    recipe: Recipe
    prompt_id: str


class Tally:
    """How many of one model's calls are answered, and how many of the answers failed.

    A prompt that was set aside before the model saw it is no failure of the model's.
    """

    def __init__(self, label: str, calls: int, watch: Watch) -> None:
        self.label, self._calls, self._watch = label, calls, watch
        self.sent = self.failures = 0
        self._errors: Counter[str] = Counter()
        self._unknown_reasons: Counter[tuple[str, str]] = Counter()
        self._lap = (time.monotonic(), Counter[str]())

    def note(self, call: Call, generation: Generation) -> None:
        """Count an answer."""
        self._lap[1][call.recipe.teacher] += generation.completion_tokens
        self.sent += generation.asked
        if generation.error is not None:
            self.failures += generation.asked
            self._errors[generation.error[:100]] += 1
        if generation.unknown_reason:
            self._unknown_reasons[generation.unknown_reason, generation.finish_reason] += 1
        self._tell(call, generation)

    def give_up(self, calls: int) -> None:
        """Count calls that are not made any more as failed."""
        self._watch.advance(0, skipped=calls, failed=calls)

    def _tell(self, call: Call, generation: Generation) -> None:
        """Advance the progress line, by what the table of calls will say."""
        asked = generation.asked
        prompt = generation.prompt_tokens if asked else 0
        self._watch.advance(
            int(asked),
            skipped=int(not asked),
            tokens=generation.completion_tokens,
            prompt_tokens=prompt,
            cost=call.recipe.cost(prompt, generation.completion_tokens),
            failed=int(generation.error is not None),
        )

    def lap(self) -> tuple[float, dict[str, int]]:
        """Return the seconds and the teachers' completion tokens since the last call."""
        (begun, tokens), now = self._lap, time.monotonic()
        self._lap = (now, Counter())
        return now - begun, dict(tokens)

    def is_failing(self, share: float) -> bool:
        return self.sent >= JUDGED_FROM and self.failures > share * self.sent

    def report(self) -> None:
        """Say how many responses are errors, the commonest of these, and unknown endings."""
        if self._errors:
            common = "; ".join(f"{count} x {error}" for error, count in self._errors.most_common(3))
            total = self._errors.total()
            log.warning("%s: %d of %d have no response: %s", self.label, total, self._calls, common)
        for (reason, taken), count in self._unknown_reasons.most_common(3):
            log.warning(
                "%s: %d answers ended with finish_reason %r, which is not known, and count as %s "
                "(unknown_finish_reason of the endpoint)", self.label, count, reason, taken,
            )  # fmt: skip


class Chunk:
    """Rows that are not stored yet."""

    def __init__(
        self, engine: str, store: ResponseStore, tally: Tally, ledger: Ledger, size: int
    ) -> None:
        self._engine, self._store, self._tally = engine, store, tally
        self._ledger, self._size = ledger, size
        self._rows: list[dict[str, Any]] = []
        self._shelves: dict[str, str] = {}  # by recipe_id

    def keep(self, call: Call, generation: Generation) -> dict[str, Any]:
        """Turn an answer into a row, store it if the chunk is full, and book what it took."""
        generation = _storable(generation)
        self._tally.note(call, generation)
        row = row_of(call, generation, self._engine_of(generation))
        self._rows.append(row)
        self._shelves[call.recipe.recipe_id] = call.recipe.shelf
        self._ledger.settle(call.recipe, call.key, generation)
        if len(self._rows) >= self._size:
            self.store()
        return row

    def _engine_of(self, generation: Generation) -> str | None:
        """Return the engine as it is recorded: with a finish reason that is not known."""
        if not generation.asked:
            return None
        reason = generation.unknown_reason
        return f"{self._engine}{UNKNOWN_REASON}{reason}" if reason else self._engine

    def store(self) -> None:
        """Store what there is, and note the time that it took."""
        for recipe_id, shelf in self._shelves.items():
            self._store.append(shelf, [r for r in self._rows if r["recipe_id"] == recipe_id])
            # Shelf by shelf: if the disk fills up in between, a second try stores none twice.
            self._rows = [r for r in self._rows if r["recipe_id"] != recipe_id]
        self._ledger.time(*self._tally.lap())


def _storable(generation: Generation) -> Generation:
    """Replace half characters, which a server's JSON can hold but no file: the answer is paid."""
    error = None if generation.error is None else as_unicode(generation.error)
    return replace(generation, response=as_unicode(generation.response), error=error)


def row_of(call: Call, generation: Generation, engine: str | None) -> dict[str, Any]:
    """Return the row of ``schemas.STORED_RESPONSES`` for an answer; ``engine`` None: not asked."""
    return {
        "response_key": call.key,
        "weights_id": call.recipe.weights_id,
        "recipe_id": call.recipe.recipe_id,
        "prompt_id": call.prompt_id,
        "sample_index": 0,
        "response": generation.response,
        "finish_reason": generation.finish_reason,
        "prompt_tokens": generation.prompt_tokens,
        "completion_tokens": generation.completion_tokens,
        "error": generation.error,
        "engine": engine,
    }
