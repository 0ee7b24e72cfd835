"""Get teachers' responses: from the store where they are paid for, else from an engine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.prompts.chosen import pick, prompt_ids
from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.teachers.asking import Stopped, ask_model, check_installed
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.domain.teachers.engine import stored_context_length
from persyn_kedro.domain.teachers.keeping import Call
from persyn_kedro.domain.teachers.openai_engine import MARKED
from persyn_kedro.domain.teachers.recipes import Recipe
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.parameters import EngineSettings
from persyn_kedro.foundations.schemas import (
    CALLS,
    OUTCOMES,
    RESPONSES,
    STORED_OUTCOMES,
    unsettled_rows,
    with_unsettled,
)
from persyn_kedro.foundations.table_rows import BLOCK

Wanted = Mapping[str, Sequence[tuple[str, str]]]  # {teacher: [(prompt_id, prompt)]}


def answer(
    wanted: Wanted,
    recipes: Sequence[Recipe],
    store: ResponseStore,
    engine: EngineSettings,
    seed: int,
    ledger: Ledger | None = None,
    go_on: bool = False,
) -> tuple[pa.Table, pa.Table]:
    """Return the wanted responses and what they took, as :func:`make_sure` does, with their texts.

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
    shares = _shares(wanted, recipes, store, engine)
    asked = [share for share in shares if len(share.missing)]
    if any(not share.recipe.model.settings.endpoint for share in asked):
        check_installed(engine)
    stopped = []
    for group in _by_model(asked):
        try:
            _ask(group, store, engine, seed, ledger or Ledger())
        except Stopped as stop:
            stopped.append(stop)
            _keep(group, stop.unasked)
    if stopped and not go_on:
        raise PersynError(" ".join(map(str, stopped)))
    again = sum(_unsettled(share.new(), share.recipe, engine) for share in asked)
    outcomes = pa.concat_tables([OUTCOMES.empty_table(), *(share.outcomes() for share in shares)])
    return with_unsettled(outcomes, again), pa.Table.from_pylist([s.count() for s in shares], CALLS)


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
        stored = store.read(shelves[teacher], ["response_key", "response"]).combine_chunks()
        places = pc.index_in(rows["response_key"], value_set=stored["response_key"])
        places = pc.if_else(pc.is_null(rows["error"]), places, None)
        if places.null_count > len(rows) - rows["error"].null_count:
            raise PersynError(
                f"The store has lost responses of teacher {teacher!r} while they were used: the "
                "same command asks for them again."
            )
        for start in range(0, len(rows), BLOCK):
            block, place = rows.slice(start, BLOCK), places.slice(start, BLOCK)
            texts = pc.fill_null(stored["response"].take(place), "")
            block = block.append_column("response", texts).select(RESPONSES.names)
            yield from block.replace_schema_metadata(None).combine_chunks().to_batches()


@dataclass
class _Known:
    """What is known of one shelf's responses, without their texts: several teachers may share it.

    Attributes:
        tables: rows of STORED_OUTCOMES, stored or new, each key once.
        waiting: the keys that the teachers' shares will ask for.
    """

    tables: list[pa.Table]
    waiting: list[pa.Array] = field(default_factory=list)

    @property
    def stored_keys(self) -> pa.Array:
        """The keys that need no call."""
        return self.tables[0]["response_key"].combine_chunks()

    def rows(self, keys: pa.Array) -> pa.Table:
        """Return the rows of these keys, in their order."""
        table = pa.concat_tables(self.tables)
        return table.take(pc.index_in(keys, value_set=table["response_key"]))


@dataclass
class _Share:
    """What one teacher is to answer.

    Attributes:
        keys: of all responses wanted.
        missing: (m,) the places in ``keys`` of those to ask for, each for this teacher alone.
    """

    recipe: Recipe
    pairs: Sequence[tuple[str, str]]
    keys: pa.Array
    known: _Known
    missing: np.ndarray

    def calls(self) -> Iterator[Call]:
        """Yield the calls to make, in the prompts' order."""
        keys = self.keys.take(pa.array(self.missing)).to_pylist()
        for key, (prompt_id, prompt) in zip(keys, pick(self.pairs, self.missing), strict=True):
            yield Call(key, self.recipe, prompt_id, prompt)

    def new(self) -> pa.Table:
        """Return the rows of the calls that were made, as OUTCOMES."""
        return self.known.rows(self.keys.take(pa.array(self.missing)))

    def outcomes(self) -> pa.Table:
        """Return all rows, as OUTCOMES."""
        if not len(self.keys):
            return OUTCOMES.empty_table()
        names = pa.repeat(self.recipe.teacher, len(self.keys))
        return self.known.rows(self.keys).add_column(0, "teacher", names)

    def count(self) -> dict[str, Any]:
        """Return the row of CALLS."""
        new = self.new() if len(self.missing) else STORED_OUTCOMES.empty_table()
        made = new.filter(pc.is_valid(new["engine"]))  # asked at all
        tokens = [pc.sum(made[f"{k}_tokens"]).as_py() or 0 for k in ("prompt", "completion")]
        return {
            "teacher": self.recipe.teacher,
            "responses": len(self.keys),
            "calls": len(made),
            "prompt_tokens": tokens[0],
            "completion_tokens": tokens[1],
            "errors": len(new) - new["error"].null_count,
            "cost": self.recipe.cost(*tokens),
        }


def _shares(
    wanted: Wanted, recipes: Sequence[Recipe], store: ResponseStore, engine: EngineSettings
) -> list[_Share]:
    """Return each teacher's share, with what the store has of it and needs no new call."""
    keys = {
        r.teacher: pa.array(map(r.response_key, prompt_ids(wanted.get(r.teacher, ()))), pa.string())
        for r in recipes
    }
    owners = {recipe.shelf: recipe for recipe in recipes}
    known = {}
    for shelf, owner in owners.items():
        own = pa.concat_arrays([keys[r.teacher] for r in recipes if r.shelf == shelf])
        known[shelf] = _Known([_stored(own, owner, store, engine)])
    shares = []
    for recipe in recipes:
        found = known[recipe.shelf]
        missing = _missing(keys[recipe.teacher], found)
        pairs = wanted.get(recipe.teacher, ())
        shares.append(_Share(recipe, pairs, keys[recipe.teacher], found, missing))
    return shares


def _stored(
    keys: pa.Array, recipe: Recipe, store: ResponseStore, engine: EngineSettings
) -> pa.Table:
    """Return the store's rows of these keys that need no new call."""
    if not len(keys):
        return STORED_OUTCOMES.empty_table()
    rows = store.read(recipe.shelf, STORED_OUTCOMES.names)
    rows = rows.filter(pc.is_in(rows["response_key"], value_set=keys))
    settled = pc.is_null(rows["error"]).to_numpy().copy()
    for place in np.flatnonzero(~settled):
        settled[place] = _is_settled(rows.slice(place, 1).to_pylist()[0], recipe, engine)
    return rows.filter(pa.array(settled))


def _missing(keys: pa.Array, known: _Known) -> np.ndarray:
    """Return the places of the keys that are to be asked for, and note that they are."""
    there = pa.concat_arrays([known.stored_keys, *known.waiting])
    found = pc.is_in(keys, value_set=there).to_numpy(zero_copy_only=False)
    first = pc.index_in(keys, value_set=keys).to_numpy() == np.arange(len(keys))
    places = np.flatnonzero(~found & first)
    known.waiting.append(keys.take(pa.array(places)))
    return places


def _ask(
    group: Sequence[_Share],
    store: ResponseStore,
    engine: EngineSettings,
    seed: int,
    ledger: Ledger,
) -> None:
    """Ask one model all that is missing of its teachers' shares, and keep how it ended."""
    calls = [call for share in group for call in share.calls()]
    block: list[dict[str, Any]] = []
    try:
        for row in ask_model(calls, store, engine, seed, ledger):
            block.append(row)
            if len(block) == BLOCK:
                _keep(group, block)
                block = []
    finally:
        _keep(group, block)


def _keep(group: Sequence[_Share], rows: list[dict[str, Any]]) -> None:
    known = {share.recipe.recipe_id: share.known for share in group}
    for recipe_id, own in known.items():
        mine = [row for row in rows if row["recipe_id"] == recipe_id]
        own.tables.append(pa.Table.from_pylist(mine, STORED_OUTCOMES))


def _unsettled(rows: pa.Table, recipe: Recipe, engine: EngineSettings) -> int:
    failed = rows.filter(pc.is_valid(rows["error"])).to_pylist()
    return sum(not _is_settled(row, recipe, engine) for row in failed)


def _is_settled(row: dict[str, Any], recipe: Recipe, engine: EngineSettings) -> bool:
    """Tell whether asking again would change nothing.

    So it is where there is no error, the model's whole context was used, or an endpoint's prompt
    holds a marker that the settings do not let through.
    """
    if row["error"] is None:
        return True
    endpoint = recipe.model.settings.endpoint
    if endpoint:
        return row["error"] == MARKED and not endpoint.allow_template_markers
    if row["engine"] is None and not row["prompt_tokens"]:
        return True  # its template cannot render the prompt
    context = stored_context_length(recipe.model.directory, engine)
    return row["prompt_tokens"] + row["completion_tokens"] >= context


def _by_model(shares: Sequence[_Share]) -> list[list[_Share]]:
    """Group the shares that one loaded model answers: one template and dtype as well."""
    groups: dict[tuple[str, str, str], list[_Share]] = {}
    for share in shares:
        model = share.recipe.model
        place = (model.weights_id, model.chat_template, model.settings.dtype)
        groups.setdefault(place, []).append(share)
    return list(groups.values())


def _runs(outcomes: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield each teacher's rows, as far as they follow one another."""
    names = outcomes["teacher"].combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy()
    borders = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    for start, end in zip(borders, borders[1:], strict=False):
        if end > start:
            yield outcomes["teacher"][start].as_py(), outcomes.slice(start, end - start)
