"""Ask one model all its calls: stored chunk by chunk, within the budget, stopped if it fails."""

import logging
import math
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import Any

from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.teachers.budget import BudgetReached, Ledger
from persyn_kedro.domain.teachers.engine import Generation, Request, stored_context_length
from persyn_kedro.domain.teachers.engines import engine_module
from persyn_kedro.domain.teachers.keeping import Call, Chunk, Tally, row_of
from persyn_kedro.foundations import cluster
from persyn_kedro.foundations.child_process import check_stopped, run_in_child
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import seed_for
from persyn_kedro.foundations.model_parameters import EngineSettings
from persyn_kedro.foundations.progress import watching
from persyn_kedro.foundations.ray_cluster import reachable

log = logging.getLogger(__name__)


class Stopped(Exception):
    """A model failed too often. ``unasked``: rows for the calls that were not made."""

    def __init__(self, message: str, unasked: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.unasked = unasked


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
    with watching(label, len(calls), "calls") as watch:
        yield from _answers(calls, name, Tally(label, calls, watch), store, engine, seed, ledger)


def _answers(
    calls: list[Call],
    name: str,
    tally: Tally,
    store: ResponseStore,
    engine: EngineSettings,
    seed: int,
    ledger: Ledger,
) -> Iterator[dict[str, Any]]:
    model, label = calls[0].recipe.model, tally.label
    requests = _Admitted(calls, ledger, engine, seed)
    chunk = Chunk(name, store, tally, ledger, _rows_at_once(model, engine))
    failing = None
    late: list[Generation] = []  # answered, and paid for, while the asking was being ended
    kept: list[dict[str, Any]] = []
    try:
        with closing(_generations(name, requests, model, engine, label, late)) as generations:
            for generation in generations:
                yield chunk.keep(generation)
                check_stopped()
                if tally.is_failing(engine.max_failure_share):
                    failing = generation
                    break
    finally:
        kept = [chunk.keep(generation) for generation in late]
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
    module = engine_module(name)
    if model.settings.endpoint:
        return module.generate(requests, model, engine, late)
    admitted = list(requests)
    if not admitted:
        return _nothing()
    env = module.environment(engine)
    # Of engines' modules that of Ray alone goes elsewhere.
    where = (reachable(cluster.current()),) if name == "ray" else ()
    return run_in_child(module.generate, admitted, model, engine, *where, label=label, env=env)


def _nothing() -> Generator[Generation, None, None]:
    yield from ()


def _stopped(tally: Tally, last: Generation) -> Stopped:
    message = (
        f"{tally.label} failed on {tally.failures} of {tally.sent} prompts (the last: "
        f"{last.error}), so it was stopped; all answers are kept, and the next run asks only for "
        "what is missing."
    )
    log.error(message)
    return Stopped(message, [not_asked(call) for call in tally.give_up()])


def not_asked(call: Call) -> dict[str, Any]:
    """Return the row of a call that was not made because its model had been stopped."""
    nothing = Generation("", "", "error", 0, 0, "not asked: the model was stopped")
    return row_of(call, nothing, None)
