"""What each teacher must answer, and which of these answers the store already has."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.engines.base import Engine, Request
from persyn_kedro.domain.engines.registry import engine_of
from persyn_kedro.domain.prompts.chosen import pick, prompt_ids, sample_indices
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.hashing import seed_for
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.tables.memory import give_back
from persyn_kedro.foundations.tables.schemas import STORED_OUTCOMES, WORD

NOT_ASKED = "not asked: the model was stopped"
ROWS_AT_ONCE = 4096  # held as Python objects
UNKNOWN_REASON = ": finish_reason "  # precedes an unknown reason in the column `engine`

Wanted = Mapping[str, Sequence[tuple[str, Prompt]]]  # {teacher: [(prompt_id, prompt)]}


@dataclass(frozen=True, slots=True)
class Call:
    """A response missing from the store, and the first teacher that needs it, who is charged."""

    key: str
    recipe: Recipe
    prompt_id: str
    sample_index: int = 0


class Outcomes:
    """How the responses of one shelf ended, without texts; several teachers may share a shelf."""

    def __init__(self, stored: pa.Table) -> None:
        """``stored`` has rows of STORED_OUTCOMES that need no new call."""
        self._tables, self._new, self._lock = [stored], list[dict[str, Any]](), Lock()

    def note(self, row: Mapping[str, Any]) -> None:
        """Add a new row of STORED_RESPONSES; each key has only one."""
        with self._lock:
            self._new.append({name: row[name] for name in STORED_OUTCOMES.names})
            if len(self._new) == ROWS_AT_ONCE:
                self._pack()

    def rows(self, keys: pa.Array) -> pa.Table:
        """Return the rows with these keys, in the order of the keys."""
        self._pack()
        table = pa.concat_tables(self._tables)
        return table.take(pc.index_in(keys, value_set=table["response_key"]))

    def _pack(self) -> None:
        self._tables.append(pa.Table.from_pylist(self._new, STORED_OUTCOMES))
        self._new.clear()
        give_back()


@dataclass
class TeacherRequests:
    """What one teacher must answer.

    Attributes:
        engine: runs the teacher's model.
        pairs: (prompt_id, prompt) of all requested responses.
        ids: the prompt_ids of ``pairs``.
        samples: (n,) which of the teacher's answers to its prompt each of ``pairs`` is.
        keys: the response keys of ``pairs``.
        outcomes: how they ended, as far as known.
        missing: (m,) indices in ``keys`` of the responses to request; no other teacher requests
            the same.
    """

    recipe: Recipe
    engine: Engine
    pairs: Sequence[tuple[str, Prompt]]
    ids: pa.Array
    samples: np.ndarray
    keys: pa.Array
    outcomes: Outcomes
    missing: np.ndarray

    @property
    def missing_keys(self) -> pa.Array:
        """The keys of the responses to request."""
        return self.keys.take(pa.array(self.missing))

    def call(self, number: int) -> Call:
        """Return the call for item ``number`` of ``missing``."""
        place = self.missing[number]
        key, prompt_id = self.keys[place].as_py(), self.ids[place].as_py()
        return Call(key, self.recipe, prompt_id, int(self.samples[place]))

    def requests(self, seed: int) -> Iterator[tuple[Call, Request]]:
        """Yield each call to make with its request, in the order of the prompts."""
        recipe = self.recipe
        for number, (_, prompt) in enumerate(pick(self.pairs, self.missing)):
            call = self.call(number)
            own_seed = seed_for(seed, "response", call.key)
            how = (recipe.system, recipe.sampling, own_seed, recipe.row_system, recipe.reply_schema)
            yield call, Request(call.key, prompt, *how)


def requests_for(
    wanted: Wanted, recipes: Sequence[Recipe], store: ResponseStore, settings: EngineSettings
) -> list[TeacherRequests]:
    """Return each teacher's requests, with the stored outcomes that need no new call."""
    ids = {r.teacher: prompt_ids(wanted.get(r.teacher, ())) for r in recipes}
    samples = {r.teacher: sample_indices(wanted.get(r.teacher, ())) for r in recipes}
    keys = {r.teacher: _keys(r, ids[r.teacher], samples[r.teacher]) for r in recipes}
    owners = {recipe.shelf: recipe for recipe in recipes}
    outcomes, taken = {}, {}
    for shelf, owner in owners.items():
        own = pa.concat_arrays([keys[r.teacher] for r in recipes if r.shelf == shelf])
        stored = answered_prompts(owner, store, settings, own)
        outcomes[shelf], taken[shelf] = Outcomes(stored), stored["response_key"].chunks
        give_back()
    requests = []
    for recipe in recipes:
        name, shelf = recipe.teacher, recipe.shelf
        missing = _missing(keys[name], taken[shelf])
        taken[shelf].append(keys[name].take(pa.array(missing)))
        engine, pairs = engine_of(recipe.model, settings), wanted.get(name, ())
        what = (pairs, ids[name], samples[name], keys[name])
        requests.append(TeacherRequests(recipe, engine, *what, outcomes[shelf], missing))
    return requests


def _keys(recipe: Recipe, ids: pa.Array, samples: np.ndarray) -> pa.Array:
    places = range(0, len(ids), ROWS_AT_ONCE)
    numbers = (samples[start : start + ROWS_AT_ONCE].tolist() for start in places)
    blocks = zip(in_blocks(ids), numbers, strict=True)
    keys = [pa.array(map(recipe.response_key, *block), pa.string()) for block in blocks]
    return pa.concat_arrays([pa.array([], pa.string()), *keys])


def in_blocks(texts: pa.Array) -> Iterator[list[str]]:
    """Yield the texts as Python objects, ``ROWS_AT_ONCE`` at a time: there may be millions."""
    for start in range(0, len(texts), ROWS_AT_ONCE):
        yield texts.slice(start, ROWS_AT_ONCE).to_pylist()


def by_model(requests: Sequence[TeacherRequests]) -> list[list[TeacherRequests]]:
    """Group requests that one loaded model can answer: same weights, template, and way to run."""
    groups: dict[tuple[str, ...], list[TeacherRequests]] = {}
    for each in requests:
        model = each.recipe.model
        told = [model.settings.extra_body, model.settings.vllm]
        how = (model.settings.dtype, str(model.settings.batch), json.dumps(told, sort_keys=True))
        place = (model.weights_id, model.chat_template, *how)
        groups.setdefault(place, []).append(each)
    return list(groups.values())


def follow_schema(group: Sequence[TeacherRequests]) -> bool:
    """Return whether a group's responses must follow a schema."""
    return any(each.recipe.reply_schema for each in group)


def answered_prompts(
    recipe: Recipe, store: ResponseStore, settings: EngineSettings, keys: pa.Array | None = None
) -> pa.Table:
    """Return a recipe's stored rows that need no new call, as STORED_OUTCOMES.

    If ``keys`` is given, only those with one of these keys.
    """
    if keys is not None and not len(keys):
        return STORED_OUTCOMES.empty_table()  # without reading the store
    rows = store.read(recipe.shelf, STORED_OUTCOMES.names)
    if keys is not None:
        rows = rows.filter(pc.is_in(rows["response_key"], value_set=keys))
    rows = rows.cast(STORED_OUTCOMES)
    engine, settled = engine_of(recipe.model, settings), pc.is_null(rows["error"]).to_numpy().copy()
    for place in np.flatnonzero(~settled):
        settled[place] = is_settled(rows.slice(place, 1).to_pylist()[0], engine)
    return _as_counted(rows.filter(pa.array(settled)), engine.unknown_finish_reason)


def is_settled(outcome: Mapping[str, Any], engine: Engine) -> bool:
    """Return whether a retry would change nothing: the request was answered, or failed for good."""
    if outcome["error"] is None:
        return True
    return outcome["error"] != NOT_ASKED and engine.is_final(outcome)


def _as_counted(rows: pa.Table, taken_for: str | None) -> pa.Table:
    """Map unknown finish reasons by the current settings, not by those at the time of the call."""
    engines = rows["engine"].cast(pa.string())
    marked = pc.fill_null(pc.match_substring(engines, UNKNOWN_REASON), False)
    if taken_for is None or not pc.any(marked).as_py():
        return rows
    known = rows["finish_reason"].cast(pa.string())
    finish = pc.if_else(marked, taken_for, known).cast(WORD)
    return rows.set_column(rows.schema.names.index("finish_reason"), "finish_reason", finish)


def _missing(keys: pa.Array, taken: Sequence[pa.Array]) -> np.ndarray:
    """Return the indices of the keys that are not taken; only the first if a key repeats."""
    there = pa.concat_arrays([keys[:0], *taken])
    found = pc.is_in(keys, value_set=there).to_numpy(zero_copy_only=False)
    first = pc.index_in(keys, value_set=keys).to_numpy() == np.arange(len(keys))
    return np.flatnonzero(~found & first)
