"""Get teachers' responses: from the store where they are paid for, else from an engine."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.engines.registry import check_installed
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.domain.teachers.dispatch import Stopped, ask_model
from persyn_kedro.domain.teachers.parallel import together
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.domain.teachers.requests import Share, Wanted, by_model, shares_of
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes import target as cluster
from persyn_kedro.foundations.processes.ray.cluster import reachable
from persyn_kedro.foundations.settings.models import EngineSettings
from persyn_kedro.foundations.tables.memory import give_back
from persyn_kedro.foundations.tables.rows import BLOCK
from persyn_kedro.foundations.tables.schemas import (
    CALLS,
    OUTCOMES,
    RESPONSES,
    unsettled_rows,
    with_unsettled,
)

ROWS_AT_ONCE = 4096  # rows as Python objects, of each model that is being asked


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
    shares = shares_of(wanted, recipes, store, engine)
    progress.came_from_store(sum(len(s.keys) - len(s.missing) for s in shares), "calls")
    stopped = _ask_all(shares, recipes, store, engine, seed, ledger or Ledger())
    if stopped and not go_on:
        raise PersynError(" ".join(map(str, stopped)))
    return _ended(shares, engine)


def _ask_all(
    shares: Sequence[Share],
    recipes: Sequence[Recipe],
    store: ResponseStore,
    engine: EngineSettings,
    seed: int,
    ledger: Ledger,
) -> list[Stopped]:
    """Ask for all that is missing; return what became of the models that failed too often."""
    asked = [share for share in shares if len(share.missing)]
    if any(not share.recipe.model.settings.endpoint for share in asked):
        check_installed(engine)
    if engine.name == "ray" and asked:
        reachable(cluster.current())  # not from a thread: what it starts would end with that
    stopped: list[Stopped] = []

    def ask(group: Sequence[Share]) -> None:
        try:
            _keep(group, ask_model(group, store, engine, seed, ledger))
        except Stopped as stop:
            stopped.append(stop)
            _keep(group, stop.unasked)

    give_back()  # models' answers may take days
    together(ask, by_model(asked), _at_once(recipes, engine))
    return stopped


def _ended(shares: list[Share], engine: EngineSettings) -> tuple[pa.Table, pa.Table]:
    """Return OUTCOMES and CALLS of shares, which are let go one by one: they may be large."""
    outcomes, calls, again = [OUTCOMES.empty_table()], [], 0
    while shares:
        rows, count, more = shares.pop(0).ended(engine)
        outcomes.append(rows)
        calls.append(count)
        again += more
        give_back()
    return with_unsettled(pa.concat_tables(outcomes), again), pa.Table.from_pylist(calls, CALLS)


def _at_once(recipes: Sequence[Recipe], engine: EngineSettings) -> int:
    """Return how many models are asked at a time: one where money or tokens are limited.

    What several have under way is booked at its worst, and would end a budget too early.
    """
    limited = engine.budget.limits or any(recipe.budget.limits for recipe in recipes)
    return engine.models_at_once if engine.name == "ray" and not limited else 1


def with_texts(
    outcomes: pa.Table, recipes: Sequence[Recipe], store: ResponseStore
) -> Iterator[pa.RecordBatch]:
    """Yield the responses (RESPONSES) of rows of OUTCOMES, which are in the store.

    Of one teacher at a time the texts are in memory. A failed response has none.

    Raises:
        PersynError: one is no longer there.
    """
    by_name = {recipe.teacher: recipe for recipe in recipes}
    for teacher, rows in _runs(outcomes):
        recipe = by_name[teacher]
        stored = store.read(recipe.shelf, ["response_key", "response"])
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
            yield _responses(block, texts, recipe)


def _responses(outcomes: pa.Table, texts: pa.Array, recipe: Recipe) -> pa.RecordBatch:
    """Return RESPONSES of some rows of OUTCOMES, all of one teacher."""
    added = {
        "response": texts,
        "weights_id": pa.repeat(recipe.weights_id, len(texts)),
        "recipe_id": pa.repeat(recipe.recipe_id, len(texts)),
        "sample_index": pa.repeat(pa.scalar(0, pa.int32()), len(texts)),
    }
    columns = [
        added[field.name] if field.name in added else outcomes[field.name].cast(field.type)
        for field in RESPONSES
    ]
    (batch,) = pa.table(columns, schema=RESPONSES).combine_chunks().to_batches()
    return batch


def _keep(group: Sequence[Share], rows: Generator[dict[str, Any], None, None]) -> None:
    """Note how calls ended, block by block, also where the rows end with an exception."""
    known = {share.recipe.recipe_id: share.known for share in group}
    block: list[dict[str, Any]] = []

    def keep() -> None:
        for recipe_id, own in known.items():
            own.keep([row for row in block if row["recipe_id"] == recipe_id])
        block.clear()
        give_back()

    try:
        with closing(rows):
            for row in rows:
                block.append(row)
                if len(block) == ROWS_AT_ONCE:
                    keep()
    finally:
        keep()


def _runs(outcomes: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield each teacher's rows, as far as they follow one another."""
    names = outcomes["teacher"].combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy()
    borders = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    for start, end in zip(borders, borders[1:], strict=False):
        if end > start:
            yield outcomes["teacher"][start].as_py(), outcomes.slice(start, end - start)
