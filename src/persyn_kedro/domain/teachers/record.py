"""Record one model's answers: count them, book their usage and store them in chunks."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from persyn_kedro.domain.engines.base import Generation
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.domain.teachers.pending import PendingCalls
from persyn_kedro.domain.teachers.requests import NOT_ASKED, UNKNOWN_REASON, Call, TeacherRequests
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import as_unicode, is_unicode
from persyn_kedro.foundations.progress import Watch

log = logging.getLogger(__name__)
JUDGED_FROM = 10  # answers before a model can count as failing


class Tally:
    """Counts how many of one model's calls are answered, and how many failed.

    A prompt that was skipped before it reached the model is not a failure of the model.
    """

    def __init__(self, label: str, calls: int, watch: Watch) -> None:
        self.label, self._calls, self._watch = label, calls, watch
        self.sent = self.failures = 0
        self._errors: Counter[str] = Counter()
        self._unknown_reasons: Counter[tuple[str, str]] = Counter()
        self._lap = (time.monotonic(), Counter[str]())

    def count(self, call: Call, generation: Generation) -> None:
        """Count an answer in the same way as the table CALLS."""
        self._lap[1][call.recipe.teacher] += generation.completion_tokens
        self.sent += generation.asked
        if generation.error is not None:
            self.failures += generation.asked
            self._errors[generation.error[:100]] += 1
        if generation.unknown_reason:
            self._unknown_reasons[generation.unknown_reason, generation.finish_reason] += 1
        prompt = generation.prompt_tokens if generation.asked else 0
        self._watch.advance(
            int(generation.asked),
            skipped=int(not generation.asked),
            tokens=generation.completion_tokens,
            prompt_tokens=prompt,
            cost=call.recipe.cost(
                prompt, generation.completion_tokens, generation.cached_prompt_tokens or 0
            ),
            failed=int(generation.error is not None),
        )

    def give_up(self, calls: int) -> None:
        """Count calls that will not be made as failed."""
        self._watch.advance(0, skipped=calls, failed=calls)

    def lap(self) -> tuple[float, dict[str, int]]:
        """Return the seconds and the completion tokens per teacher since the last lap."""
        (begun, tokens), now = self._lap, time.monotonic()
        self._lap = (now, Counter())
        return now - begun, dict(tokens)

    def is_failing(self, share: float) -> bool:
        return self.sent >= JUDGED_FROM and self.failures > share * self.sent

    def report(self) -> None:
        """Log how many responses are errors, the most common errors, and unknown finish reasons."""
        if self._errors:
            common = "; ".join(f"{count} x {error}" for error, count in self._errors.most_common(3))
            total = self._errors.total()
            log.warning("%s: %d of %d have no response: %s", self.label, total, self._calls, common)
        for (reason, taken), count in self._unknown_reasons.most_common(3):
            log.warning(
                "%s: %d answers have the unknown finish_reason %r; they count as %s "
                "(the endpoint's unknown_finish_reason)", self.label, count, reason, taken,
            )  # fmt: skip


class Recorder:
    """Counts, books and stores one model's answers, in chunks of at most ``chunk_size``.

    Requests in flight count towards a chunk, so a kill loses at most ``chunk_size`` paid answers.
    If they alone would fill it, a kill loses these and a chunk: one file per answer is too slow.
    """

    def __init__(
        self, group: Sequence[TeacherRequests], tally: Tally, store: ResponseStore, ledger: Ledger
    ) -> None:
        engine = group[0].engine
        self.tally, self.pending = tally, PendingCalls(group)
        self._engine, self._store, self._ledger = engine, store, ledger
        chunk, in_flight = engine.settings.chunk_size, engine.in_flight
        self._size = chunk - in_flight if in_flight < chunk else chunk
        self._requests = {each.recipe.recipe_id: each for each in group}
        self._rows: list[dict[str, Any]] = []

    def record(self, generation: Generation) -> None:
        """Record an answer, unless its call is already answered (by a node that was then lost).

        Raises:
            PersynError: no call has its key.
        """
        try:
            call = self.pending.take(generation.key)
        except (KeyError, ValueError, TypeError, OverflowError):  # a user's engine: not even a key
            raise PersynError(
                f"{self.tally.label} returned a generation with unknown key {generation.key!r}; "
                "it must be the key of its request."
            ) from None
        if call is None:
            return
        generation = _storable(generation)
        self.tally.count(call, generation)
        row = _row(call, generation, self._engine_of(generation))
        self._rows.append(row)
        self._requests[call.recipe.recipe_id].outcomes.note(row)
        self._ledger.book(call.recipe, call.key, generation)
        if len(self._rows) >= self._size:
            self.flush()

    def flush(self) -> None:
        """Store the buffered rows, and book the time that they took."""
        for recipe_id, requests in self._requests.items():
            own = [row for row in self._rows if row["recipe_id"] == recipe_id]
            self._store.append(requests.recipe.shelf, own)
            # Shelf by shelf, so that a retry after a full disk stores no row twice.
            self._rows = [row for row in self._rows if row["recipe_id"] != recipe_id]
        self._engine.kept()
        self._ledger.time(*self.tally.lap())

    def give_up(self) -> None:
        """Note pending calls as not asked."""
        self.tally.give_up(self.pending.left)
        for call in self.pending.calls():
            row = _row(call, Generation(call.key, "", "error", 0, 0, NOT_ASKED), None)
            self._requests[call.recipe.recipe_id].outcomes.note(row)

    def _engine_of(self, generation: Generation) -> str | None:
        """Return the value of the column `engine`: its name, and any unknown finish reason."""
        if not generation.asked:
            return None
        reason = generation.unknown_reason
        name = self._engine.name
        return f"{name}{UNKNOWN_REASON}{reason}" if reason else name


def _storable(generation: Generation) -> Generation:
    """Replace lone surrogates, which JSON allows but files do not: the answer is paid for."""
    response, error = generation.response, generation.error
    if is_unicode(response) and is_unicode(error or ""):
        return generation
    error = None if error is None else as_unicode(error)
    return replace(generation, response=as_unicode(response), error=error)


def _row(call: Call, generation: Generation, engine: str | None) -> dict[str, Any]:
    """Return an answer as a row of ``schemas.STORED_RESPONSES``; ``engine`` None: not asked."""
    return {
        "response_key": call.key,
        "weights_id": call.recipe.weights_id,
        "recipe_id": call.recipe.recipe_id,
        "prompt_id": call.prompt_id,
        "sample_index": call.sample_index,
        "response": generation.response,
        "finish_reason": generation.finish_reason,
        "prompt_tokens": generation.prompt_tokens,
        "completion_tokens": generation.completion_tokens,
        "cached_prompt_tokens": generation.cached_prompt_tokens,
        "error": generation.error,
        "engine": engine,
    }
