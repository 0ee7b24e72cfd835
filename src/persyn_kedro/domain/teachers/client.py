"""Get teachers' responses: from the store where they are paid for, else from an engine."""

from collections.abc import Sequence

import pyarrow as pa

from persyn_kedro.domain.engines.registry import local_engine
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.domain.teachers.dispatch import Stopped, dispatch
from persyn_kedro.domain.teachers.parallel import for_each
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.domain.teachers.requests import TeacherRequests, Wanted, by_model, requests_for
from persyn_kedro.domain.teachers.result import results_of, with_texts
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.models import EngineSettings
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
    """Return the wanted responses and what they took, as ``make_sure`` does, with their texts.

    Returns:
        RESPONSES, all of them in memory, and CALLS.
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
    """Make sure that the store has the wanted responses; return how each ended, and what they took.

    Args:
        wanted: for each teacher, its prompts as (prompt_id, prompt).
        recipes: the pool; its order is that of both tables.
        store: asked first. New responses, failed ones too, go into it ``engine.chunk_size`` at a
            time. Failed ones are asked for again in the next call, unless they failed for want of
            context and it has not grown.
        engine: what runs the models, each loaded once, in a process of its own.
        seed: of sampled responses; each draws from a seed of its own.
        ledger: what may be spent, and what this run has spent so far.
        go_on: what a teacher that fails too often leaves unasked becomes error rows, instead of
            an error once the other models have answered.

    Returns:
        OUTCOMES, teacher by teacher in the prompts' order, with the number of rows that the next
        call would ask again (``schemas.unsettled_rows``), and CALLS, one row a teacher. A call that
        serves several teachers is counted for the first of them.

    Raises:
        PersynError: if a teacher is not in the pool, the engine is not installed, the engine's
            process dies, a model fails too often, or the budget is used up; the responses made
            until then stay in the store.
    """
    unknown = [teacher for teacher in wanted if teacher not in {r.teacher for r in recipes}]
    if unknown:
        raise PersynError(f"Teacher {unknown[0]} is not in the pool.")
    give_back()  # what the prompts were chosen by
    requests = requests_for(wanted, recipes, store, engine)
    progress.came_from_store(sum(len(r.keys) - len(r.missing) for r in requests), "calls")
    stopped = _dispatch_all(requests, store, seed, ledger or Ledger(), _at_once(recipes, engine))
    if stopped and not go_on:
        raise PersynError(" ".join(map(str, stopped)))
    return results_of(requests)


def _dispatch_all(
    requests: Sequence[TeacherRequests],
    store: ResponseStore,
    seed: int,
    ledger: Ledger,
    at_once: int,
) -> list[Stopped]:
    """Ask each model for all that is missing; return what became of those that were stopped."""
    groups = by_model([each for each in requests if len(each.missing)])
    for group in groups:
        group[0].engine.set_up()
    stopped: list[Stopped] = []

    def ask(group: Sequence[TeacherRequests]) -> None:
        try:
            dispatch(group, store, seed, ledger)
        except Stopped as stop:
            stopped.append(stop)

    give_back()  # models' answers may take days
    for_each(ask, groups, at_once)
    return stopped


def _at_once(recipes: Sequence[Recipe], engine: EngineSettings) -> int:
    """Return how many models are asked at a time: one where money or tokens are limited.

    What several have under way is booked at its worst, and would end a budget too early.
    """
    limited = engine.budget.limits or any(recipe.budget.limits for recipe in recipes)
    return 1 if limited else local_engine(engine).models_at_once(engine)
