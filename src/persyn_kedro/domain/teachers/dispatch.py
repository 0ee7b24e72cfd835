"""Ask one model all its calls: stored chunk by chunk, within the budget, stopped if it fails."""

import logging
import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.engines.base import Generation, Request, stored_context_length
from persyn_kedro.domain.engines.registry import engine_module
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.budget import BudgetReached, Ledger
from persyn_kedro.domain.teachers.pending import OpenCalls
from persyn_kedro.domain.teachers.record import NOT_ASKED, Call, Chunk, Tally, row_of
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import seed_for
from persyn_kedro.foundations.processes import target as cluster
from persyn_kedro.foundations.processes.child import check_stopped, run_in_child
from persyn_kedro.foundations.processes.ray.cluster import reachable
from persyn_kedro.foundations.progress import watching
from persyn_kedro.foundations.settings.models import EngineSettings

if TYPE_CHECKING:
    from persyn_kedro.domain.teachers.requests import Share

log = logging.getLogger(__name__)


class Stopped(Exception):
    """A model failed too often, or will answer nothing. ``unasked``: rows for calls not made."""

    def __init__(self, message: str, unasked: Generator[dict[str, Any], None, None]) -> None:
        super().__init__(message)
        self.unasked = unasked


def ask_model(
    shares: Sequence["Share"],
    store: ResponseStore,
    engine: EngineSettings,
    seed: int,
    ledger: Ledger,
) -> Generator[dict[str, Any], None, None]:
    """Yield the rows of one model's calls, stored chunk by chunk, the last one on any exit.

    Raises:
        PersynError: the model's process died, or the budget is used up.
        Stopped: over ``engine.max_failure_share`` of the calls failed, or one failed in a way in
            which all would.
    """
    model = shares[0].recipe.model
    name = "openai" if model.settings.endpoint else engine.name
    label = f"{name} {model.name}"
    calls = OpenCalls(shares)
    log.info("%s: %d responses to generate with %s", model.name, len(calls), name)
    for recipe in {share.recipe.shelf: share.recipe for share in shares}.values():
        store.describe(recipe.shelf, recipe.identity)
    with watching(label, len(calls), "calls") as watch:
        tally = Tally(label, len(calls), watch)
        chunk = Chunk(name, store, tally, ledger, _rows_at_once(model, engine))
        requests = _Admitted(shares, ledger, engine, seed)
        yield from _answers(name, requests, calls, chunk, tally, engine)


def _answers(
    name: str,
    requests: "_Admitted",
    calls: OpenCalls,
    chunk: Chunk,
    tally: Tally,
    engine: EngineSettings,
) -> Iterator[dict[str, Any]]:
    failing: Generation | None = None
    late: list[Generation] = []  # answered, and paid for, while the asking was being ended
    kept: list[dict[str, Any]] = []
    try:
        answers = _generations(name, requests, engine, tally.label, late)
        with closing(answers) as generations:
            for generation in generations:
                yield from _kept(generation, calls, chunk, tally.label)
                check_stopped()
                if generation.remedy or tally.is_failing(engine.max_failure_share):
                    failing = generation
                    break
    finally:
        kept = [row for answer in late for row in _kept(answer, calls, chunk, tally.label)]
        chunk.store()
        tally.report()
    yield from kept
    if failing is not None:
        requests.take_back(calls)
        raise _stopped(tally, failing, calls)
    if requests.reached is not None:
        raise PersynError(str(requests.reached)) from requests.reached
    if calls.left:
        raise PersynError(f"{tally.label} gave no answer to {calls.left} of {len(calls)} requests.")


def _kept(
    generation: Generation, calls: OpenCalls, chunk: Chunk, label: str
) -> list[dict[str, Any]]:
    """Keep an answer; return its row, none if there was one already (a lost node's, done again)."""
    try:
        call = calls.take(generation.key)
    except (KeyError, ValueError, TypeError, OverflowError):  # of an own engine: no key at all
        raise PersynError(
            f"{label} answered a request that it was not given: {generation.key!r}."
        ) from None
    return [] if call is None else [chunk.keep(call, generation)]


def _rows_at_once(model: Any, engine: EngineSettings) -> int:
    """Return after how many answers they are stored.

    What is on its way to an endpoint is paid for too: with it a kill costs ``chunk_size`` at most.
    """
    endpoint = model.settings.endpoint
    return max(1, engine.chunk_size - (endpoint.max_concurrency if endpoint else 0))


class _Admitted:
    """The calls' requests, as far as the budget goes; ``reached`` says where it ended."""

    def __init__(
        self, shares: Sequence["Share"], ledger: Ledger, engine: EngineSettings, seed: int
    ) -> None:
        self._shares, self._ledger, self._budget, self._seed = shares, ledger, engine.budget, seed
        self.model = shares[0].recipe.model
        local = not self.model.settings.endpoint  # else its context is not known
        self._context = stored_context_length(self.model.directory, engine) if local else math.inf
        self.reached: BudgetReached | None = None

    def __iter__(self) -> Iterator[Request]:
        for call, prompt in chain.from_iterable(share.calls() for share in self._shares):
            recipe = call.recipe
            try:
                self._ledger.reserve(recipe, call.key, prompt, self._budget, self._context)
            except BudgetReached as reached:
                self.reached = reached
                return
            draw = seed_for(self._seed, "response", call.key)
            yield Request(call.key, prompt, recipe.system, recipe.sampling, draw)

    def take_back(self, calls: OpenCalls) -> None:
        """Book nothing for calls that will not be made: the budget is there for other models."""
        for call in calls.give_up():
            self._ledger.release(call.recipe, call.key)


def _generations(
    name: str,
    requests: _Admitted,
    engine: EngineSettings,
    label: str,
    late: list[Generation],
) -> Generator[Generation, None, None]:
    """Local models run in a child, which takes the requests as it goes; an endpoint needs no
    memory, so it is asked from here."""
    module, model = engine_module(name), requests.model
    if model.settings.endpoint:
        return module.generate(requests, model, engine, late)
    admitted = iter(requests)
    first = next(admitted, None)
    if first is None:
        return _nothing()
    feed = chain([first], admitted)
    env = module.environment(engine)
    # Of engines' modules that of Ray alone goes elsewhere.
    where = (reachable(cluster.current()),) if name == "ray" else ()
    return run_in_child(module.generate, model, engine, *where, label=label, env=env, feed=feed)


def _nothing() -> Generator[Generation, None, None]:
    yield from ()


def _stopped(tally: Tally, last: Generation, calls: OpenCalls) -> Stopped:
    if last.remedy:
        teacher = calls.of(last.key).recipe.teacher
        message = (
            f"Teacher {teacher!r} was stopped, as no other call of {tally.label} would be answered "
            f"({last.error}): {last.remedy.replace('{teacher}', teacher)}"
        )
    else:
        message = (
            f"{tally.label} failed on {tally.failures} of {tally.sent} prompts (the last: "
            f"{last.error}), so it was stopped"
        )
    message += "; all answers are kept, and the next run asks only for what is missing."
    log.error(message)
    tally.give_up(calls.left)
    return Stopped(message, (_not_asked(call) for call in calls.give_up()))


def _not_asked(call: Call) -> dict[str, Any]:
    """Return the row of a call that was not made because its model had been stopped."""
    nothing = Generation("", "", "error", 0, 0, NOT_ASKED)
    return row_of(call, nothing, None)
