"""Get teachers' responses: from the store if already paid for, otherwise from an engine."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import pyarrow as pa

from persyn_kedro.domain.engines.base import EngineError
from persyn_kedro.domain.engines.registry import local_engine
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.domain.teachers.dispatch import Stopped, dispatch
from persyn_kedro.domain.teachers.order import place_of, to_be_loaded
from persyn_kedro.domain.teachers.parallel import for_each
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.domain.teachers.requests import TeacherRequests, Wanted, by_model, requests_for
from persyn_kedro.domain.teachers.result import results_of, with_texts
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError, Waiting
from persyn_kedro.foundations.models.read_ahead import read_ahead
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.tables.memory import give_back
from persyn_kedro.foundations.tables.schemas import RESPONSES, unsettled_rows, with_unsettled


def answer(
    wanted: Wanted,
    recipes: Sequence[Recipe],
    store: ResponseStore,
    engine: EngineSettings,
    seed: int,
    ledger: Ledger | None = None,
    go_on: bool = False,
) -> tuple[pa.Table, pa.Table]:
    """Return the requested responses with their texts, and their usage, as ``make_sure`` does.

    Returns:
        RESPONSES, held in memory, and CALLS.
    """
    outcomes, calls = make_sure(wanted, recipes, store, engine, seed, ledger, go_on)
    responses = pa.Table.from_batches(with_texts(outcomes, recipes, store), RESPONSES)
    return with_unsettled(responses, unsettled_rows(outcomes.schema)), calls


def make_sure(
    wanted: Wanted,
    recipes: Sequence[Recipe],
    store: ResponseStore,
    engine: EngineSettings,
    seed: int,
    ledger: Ledger | None = None,
    go_on: bool = False,
) -> tuple[pa.Table, pa.Table]:
    """Make sure that the store has the requested responses; return their outcomes and usage.

    Args:
        wanted: each teacher's prompts as (prompt_id, prompt); ``ChosenPrompts`` also say which of
            the teacher's answers to each is wanted, otherwise it is the first.
        recipes: the pool; both returned tables follow its order.
        store: read first. New responses, including failures, are written to it
            ``engine.chunk_size`` at a time. Failures are retried in the next call, except those
            that would fail again (``Engine.is_final``).
        engine: runs the models; each is loaded once, in its own process, unless it still is.
        seed: for sampled responses; each gets its own seed derived from it.
        ledger: what this run has spent so far; by default nothing.
        go_on: if a model fails too often, return its remaining prompts as error rows, instead of
            raising an error once the other models have finished.

    Returns:
        OUTCOMES, grouped by teacher in the order of the prompts, with the number of rows that the
        next call would retry (``schemas.unsettled_rows``), and CALLS, one row per teacher. A call
        shared by several teachers counts for the first of them.

    Raises:
        Waiting: answers are under way at a batch service; all others are in the store.
        PersynError: a teacher is not in the pool, the engine is not installed, its process dies, a
            model fails too often, or the budget is used up; the responses received until then stay
            in the store.
    """
    unknown = [teacher for teacher in wanted if teacher not in {r.teacher for r in recipes}]
    if unknown:
        raise PersynError(f"Teacher {unknown[0]} is not in the pool; add it to `teachers`.")
    give_back()  # memory used to choose the prompts
    requests = requests_for(wanted, recipes, store, engine)
    progress.came_from_store(sum(len(r.keys) - len(r.missing) for r in requests), "calls")
    at_once = _at_once(recipes, engine)
    stopped, held = _dispatch_all(requests, store, seed, ledger or Ledger(), at_once)
    if stopped and not go_on:
        raise PersynError(" ".join(map(str, [*stopped, *held])))
    if held:
        only_waits = all(isinstance(error, Waiting) for error in held)
        raise (Waiting if only_waits else PersynError)(" ".join(map(str, held)))
    return results_of(requests)


def _dispatch_all(
    requests: Sequence[TeacherRequests],
    store: ResponseStore,
    seed: int,
    ledger: Ledger,
    at_once: int,
) -> tuple[list[Stopped], list[Waiting | EngineError]]:
    """Send each model its missing requests.

    All hosted models run at once, and beside the others, of which ``at_once`` run at a time: if
    that is one, in the order of ``engine.order``, and while one works, the files of the next one
    are read ahead.

    Returns:
        Why models were stopped, and why others are not done yet; the rest are.
    """
    groups = by_model([each for each in requests if len(each.missing)])
    for group in groups:
        group[0].engine.set_up()
    stopped: dict[int, Stopped] = {}
    held: dict[int, Waiting | EngineError] = {}

    hosted = [number for number, group in enumerate(groups) if group[0].engine.hosted]
    others = [number for number in range(len(groups)) if number not in hosted]
    if at_once == 1:
        others.sort(key=lambda number: place_of(groups[number]))
    following = dict(pairwise(others)) if at_once == 1 else {}

    def read_next(number: int) -> None:
        if number in following and to_be_loaded(group := groups[following[number]]):
            read_ahead(group[0].engine.model.directory)

    def ask(number: int) -> None:
        try:
            dispatch(groups[number], store, seed, ledger, partial(read_next, number))
        except Stopped as stop:
            stopped[number] = stop
        except (Waiting, EngineError) as error:
            held[number] = error

    give_back()  # the models may run for days
    for_each(ask, [(hosted, len(hosted)), (others, at_once)])
    return [stopped[n] for n in sorted(stopped)], [held[n] for n in sorted(held)]


def _at_once(recipes: Sequence[Recipe], engine: EngineSettings) -> int:
    """Return how many models that are not hosted run at once: one if cost or tokens are limited.

    Their requests in flight are reserved at their worst case, and those of several models would
    use up the budget too early: these engines cannot wait until some are answered.
    """
    limited = engine.budget.limits or any(recipe.budget.limits for recipe in recipes)
    return 1 if limited else local_engine(engine).models_at_once(engine)
