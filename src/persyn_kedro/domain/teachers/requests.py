"""What each teacher is to answer, what of it the store has, and how it ended."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.engines.base import stored_context_length
from persyn_kedro.domain.engines.openai import MARKED
from persyn_kedro.domain.prompts.chosen import pick, prompt_ids
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.domain.teachers.record import NOT_ASKED, UNKNOWN_REASON, Call
from persyn_kedro.foundations.settings.models import EngineSettings
from persyn_kedro.foundations.tables.memory import give_back
from persyn_kedro.foundations.tables.schemas import OUTCOMES, STORED_OUTCOMES, WORD

Wanted = Mapping[str, Sequence[tuple[str, str]]]  # {teacher: [(prompt_id, prompt)]}


@dataclass
class Known:
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

    def keep(self, rows: list[dict[str, Any]]) -> None:
        """Take new rows, with or without texts, which are not kept."""
        self.tables.append(pa.Table.from_pylist(rows, STORED_OUTCOMES))

    def rows(self, keys: pa.Array) -> pa.Table:
        """Return the rows of these keys, in their order."""
        table = pa.concat_tables(self.tables)
        return table.take(pc.index_in(keys, value_set=table["response_key"]))


@dataclass
class Share:
    """What one teacher is to answer.

    Attributes:
        ids: the prompt_ids of ``pairs``.
        keys: of all responses wanted.
        missing: (m,) the places in ``keys`` of those to ask for, each for this teacher alone.
    """

    recipe: Recipe
    pairs: Sequence[tuple[str, str]]
    ids: pa.Array
    keys: pa.Array
    known: Known
    missing: np.ndarray

    @property
    def missing_keys(self) -> pa.Array:
        """The keys to ask for."""
        return self.keys.take(pa.array(self.missing))

    def call(self, number: int) -> Call:
        """Return the call for one of ``missing``."""
        place = self.missing[number]
        return Call(self.keys[place].as_py(), self.recipe, self.ids[place].as_py())

    def calls(self) -> Iterator[tuple[Call, str]]:
        """Yield the calls to make and their prompts, in these' order."""
        for number, (_, prompt) in enumerate(pick(self.pairs, self.missing)):
            yield self.call(number), prompt

    def ended(self, engine: EngineSettings) -> tuple[pa.Table, dict[str, Any], int]:
        """Return OUTCOMES, the row of CALLS, and how many of the calls would be made again."""
        new = self.known.rows(self.missing_keys)
        failed = new.filter(pc.is_valid(new["error"])).to_pylist()
        again = sum(not _is_settled(row, self.recipe, engine) for row in failed)
        return self._outcomes(), self._count(new), again

    def _outcomes(self) -> pa.Table:
        if not len(self.keys):
            return OUTCOMES.empty_table()
        names = pa.repeat(self.recipe.teacher, len(self.keys))
        return self.known.rows(self.keys).add_column(0, "teacher", names).cast(OUTCOMES)

    def _count(self, new: pa.Table) -> dict[str, Any]:
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


def shares_of(
    wanted: Wanted, recipes: Sequence[Recipe], store: ResponseStore, engine: EngineSettings
) -> list[Share]:
    """Return each teacher's share, with what the store has of it and needs no new call."""
    ids = {r.teacher: prompt_ids(wanted.get(r.teacher, ())) for r in recipes}
    keys = {
        r.teacher: pa.array(map(r.response_key, ids[r.teacher].to_pylist()), pa.string())
        for r in recipes
    }
    owners = {recipe.shelf: recipe for recipe in recipes}
    known = {}
    for shelf, owner in owners.items():
        own = pa.concat_arrays([keys[r.teacher] for r in recipes if r.shelf == shelf])
        known[shelf] = Known([_stored(own, owner, store, engine)])
        give_back()
    shares = []
    for recipe in recipes:
        name, found = recipe.teacher, known[recipe.shelf]
        missing = _missing(keys[name], found)
        pairs = wanted.get(name, ())
        shares.append(Share(recipe, pairs, ids[name], keys[name], found, missing))
    for found in known.values():
        found.waiting.clear()
    return shares


def by_model(shares: Sequence[Share]) -> list[list[Share]]:
    """Group the shares that one loaded model answers: one template and dtype as well."""
    groups: dict[tuple[str, str, str], list[Share]] = {}
    for share in shares:
        model = share.recipe.model
        place = (model.weights_id, model.chat_template, model.settings.dtype)
        groups.setdefault(place, []).append(share)
    return list(groups.values())


def _stored(
    keys: pa.Array, recipe: Recipe, store: ResponseStore, engine: EngineSettings
) -> pa.Table:
    """Return the store's rows of these keys that need no new call."""
    if not len(keys):
        return STORED_OUTCOMES.empty_table()
    rows = store.read(recipe.shelf, STORED_OUTCOMES.names)
    rows = rows.filter(pc.is_in(rows["response_key"], value_set=keys)).cast(STORED_OUTCOMES)
    return _settled_rows(rows, recipe, engine)


def answered_prompts(recipe: Recipe, store: ResponseStore, engine: EngineSettings) -> pa.Table:
    """Return the store's rows of a recipe that need no new call, as STORED_OUTCOMES."""
    rows = store.read(recipe.shelf, STORED_OUTCOMES.names)
    return _settled_rows(rows.cast(STORED_OUTCOMES), recipe, engine)


def _settled_rows(rows: pa.Table, recipe: Recipe, engine: EngineSettings) -> pa.Table:
    settled = pc.is_null(rows["error"]).to_numpy().copy()
    for place in np.flatnonzero(~settled):
        settled[place] = _is_settled(rows.slice(place, 1).to_pylist()[0], recipe, engine)
    return _as_counted(rows.filter(pa.array(settled)), recipe)


def _as_counted(rows: pa.Table, recipe: Recipe) -> pa.Table:
    """Let answers that ended in an unknown way count as the settings say now, not as they did."""
    endpoint = recipe.model.settings.endpoint
    engines = rows["engine"].cast(pa.string())
    marked = pc.fill_null(pc.match_substring(engines, UNKNOWN_REASON), False)
    if endpoint is None or not pc.any(marked).as_py():
        return rows
    known = rows["finish_reason"].cast(pa.string())
    finish = pc.if_else(marked, endpoint.unknown_finish_reason, known).cast(WORD)
    return rows.set_column(rows.schema.names.index("finish_reason"), "finish_reason", finish)


def _missing(keys: pa.Array, known: Known) -> np.ndarray:
    """Return the places of the keys that are to be asked for, and note that they are."""
    there = pa.concat_arrays([known.stored_keys, *known.waiting])
    found = pc.is_in(keys, value_set=there).to_numpy(zero_copy_only=False)
    first = pc.index_in(keys, value_set=keys).to_numpy() == np.arange(len(keys))
    places = np.flatnonzero(~found & first)
    known.waiting.append(keys.take(pa.array(places)))
    return places


def _is_settled(row: dict[str, Any], recipe: Recipe, engine: EngineSettings) -> bool:
    """Tell whether asking again would change nothing.

    So it is where there is no error, the model's whole context was used, or an endpoint's prompt
    holds a marker that the settings do not let through.
    """
    if row["error"] is None:
        return True
    if row["error"] == NOT_ASKED:
        return False
    endpoint = recipe.model.settings.endpoint
    if endpoint:
        return row["error"] == MARKED and not endpoint.allow_template_markers
    if row["engine"] is None and not row["prompt_tokens"]:
        return True  # its template cannot render the prompt
    context = stored_context_length(recipe.model.directory, engine)
    return row["prompt_tokens"] + row["completion_tokens"] >= context
