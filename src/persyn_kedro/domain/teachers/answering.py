"""Get teachers' responses: from the store where they are paid for, else from an engine."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.teachers.asking import Stopped, ask_model, not_asked
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.domain.teachers.engines import check_installed
from persyn_kedro.domain.teachers.keeping import Call
from persyn_kedro.domain.teachers.recipes import Recipe
from persyn_kedro.domain.teachers.shares import Share, Wanted, by_model, shares_of
from persyn_kedro.domain.teachers.together import together
from persyn_kedro.foundations import cluster, progress
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.model_parameters import EngineSettings
from persyn_kedro.foundations.ray_cluster import reachable
from persyn_kedro.foundations.schemas import (
    CALLS,
    OUTCOMES,
    RESPONSES,
    unsettled_rows,
    with_unsettled,
)
from persyn_kedro.foundations.table_rows import BLOCK

CALLS_AT_ONCE = 262_144  # of one model: all that memory holds; after as many it is started again


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
    shares = shares_of(wanted, recipes, store, engine)
    asked = [share for share in shares if len(share.missing)]
    progress.came_from_store(sum(len(s.keys) - len(s.missing) for s in shares), "calls")
    if any(not share.recipe.model.settings.endpoint for share in asked):
        check_installed(engine)
    if engine.name == "ray" and asked:
        reachable(cluster.current())  # not from a thread: what it starts would end with that
    stopped: list[Stopped] = []
    booked = ledger or Ledger()

    def ask(group: Sequence[Share]) -> None:
        try:
            _ask(group, store, engine, seed, booked)
        except Stopped as stop:
            stopped.append(stop)
            _keep(group, stop.unasked)

    together(ask, by_model(asked), _at_once(recipes, engine))
    if stopped and not go_on:
        raise PersynError(" ".join(map(str, stopped)))
    again = sum(share.unsettled(engine) for share in asked)
    outcomes = pa.concat_tables([OUTCOMES.empty_table(), *(share.outcomes() for share in shares)])
    return with_unsettled(outcomes, again), pa.Table.from_pylist([s.count() for s in shares], CALLS)


def _at_once(recipes: Sequence[Recipe], engine: EngineSettings) -> int:
    """Return how many models are asked at a time: one where money or tokens are limited.

    What several have under way is booked at its worst, and would end a budget too early.
    """
    budgets = [engine.budget, *(recipe.budget for recipe in recipes)]
    limited = any(b.max_cost is not None or b.max_tokens is not None for b in budgets)
    return engine.models_at_once if engine.name == "ray" and not limited else 1


def with_texts(
    outcomes: pa.Table, recipes: Sequence[Recipe], store: ResponseStore
) -> Iterator[pa.RecordBatch]:
    """Yield the responses (RESPONSES) of rows of OUTCOMES, which are in the store.

    Of one teacher at a time the texts are in memory. A failed response has none.

    Raises:
        PersynError: one is no longer there.
    """
    shelves = {recipe.teacher: recipe.shelf for recipe in recipes}
    for teacher, rows in _runs(outcomes):
        stored = store.read(shelves[teacher], ["response_key", "response"])
        places = pc.index_in(rows["response_key"], value_set=stored["response_key"])
        # Together they may be over 2 GiB, which string cannot address.
        known = stored["response"].cast(pa.large_string()).combine_chunks()
        places = pc.if_else(pc.is_null(rows["error"]), places, None)
        if places.null_count > len(rows) - rows["error"].null_count:
            raise PersynError(
                f"The store has lost responses of teacher {teacher!r} while they were used: the "
                "same command asks for them again."
            )
        for start in range(0, len(rows), BLOCK):
            block, place = rows.slice(start, BLOCK), places.slice(start, BLOCK)
            texts = pc.fill_null(known.take(place), "").cast(pa.string())
            block = block.append_column("response", texts).select(RESPONSES.names)
            yield from block.replace_schema_metadata(None).combine_chunks().to_batches()


def _ask(
    group: Sequence[Share],
    store: ResponseStore,
    engine: EngineSettings,
    seed: int,
    ledger: Ledger,
) -> None:
    """Ask one model all that is missing of its teachers' shares, and keep how it ended."""
    calls = (call for share in group for call in share.calls())
    while some := list(islice(calls, CALLS_AT_ONCE)):
        try:
            _ask_some(some, group, store, engine, seed, ledger)
        except Stopped as stop:
            stop.unasked += map(not_asked, calls)
            raise


def _ask_some(
    calls: list[Call],
    group: Sequence[Share],
    store: ResponseStore,
    engine: EngineSettings,
    seed: int,
    ledger: Ledger,
) -> None:
    block: list[dict[str, Any]] = []
    try:
        for row in ask_model(calls, store, engine, seed, ledger):
            block.append(row)
            if len(block) == BLOCK:
                _keep(group, block)
                block = []
    finally:
        _keep(group, block)


def _keep(group: Sequence[Share], rows: list[dict[str, Any]]) -> None:
    known = {share.recipe.recipe_id: share.known for share in group}
    for recipe_id, own in known.items():
        own.keep([row for row in rows if row["recipe_id"] == recipe_id])


def _runs(outcomes: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield each teacher's rows, as far as they follow one another."""
    names = outcomes["teacher"].combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy()
    borders = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    for start, end in zip(borders, borders[1:], strict=False):
        if end > start:
            yield outcomes["teacher"][start].as_py(), outcomes.slice(start, end - start)
