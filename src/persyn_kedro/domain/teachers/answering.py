"""Get teachers' responses: from the store where they are paid for, else from an engine."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.teachers.asking import Stopped, ask_model, check_installed
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.domain.teachers.engine import stored_context_length
from persyn_kedro.domain.teachers.keeping import Call
from persyn_kedro.domain.teachers.openai_engine import MARKED
from persyn_kedro.domain.teachers.recipes import Recipe
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.model_parameters import EngineSettings
from persyn_kedro.foundations.schemas import CALLS, RESPONSES, with_unsettled

Wanted = Mapping[str, Sequence[tuple[str, str]]]


def answer(
    wanted: Wanted,
    recipes: Sequence[Recipe],
    store: ResponseStore,
    engine: EngineSettings,
    seed: int,
    ledger: Ledger | None = None,
    go_on: bool = False,
) -> tuple[pa.Table, pa.Table]:
    """Return the wanted responses and what they took.

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
        RESPONSES, teacher by teacher in the prompts' order, with the number of rows that the next
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
    rows = _stored(wanted, recipes, store, engine)
    calls = _calls(wanted, recipes, rows)
    if any(not call.recipe.model.settings.endpoint for call in calls):
        check_installed(engine)
    stopped = []
    for group in _by_model(calls):
        try:
            for row in ask_model(group, store, engine, seed, ledger or Ledger()):
                rows[row["response_key"]] = row
        except Stopped as stop:
            stopped.append(stop)
            rows.update({row["response_key"]: row for row in stop.unasked})
    if stopped and not go_on:
        raise PersynError(" ".join(map(str, stopped)))
    again = sum(not _is_settled(rows[call.key], call.recipe, engine) for call in calls)
    responses = with_unsettled(_responses(wanted, recipes, rows), again)
    return responses, _count(wanted, recipes, calls, rows)


def _stored(
    wanted: Wanted, recipes: Sequence[Recipe], store: ResponseStore, engine: EngineSettings
) -> dict[str, dict[str, Any]]:
    """Return the store's rows that are wanted and need no new call, by response key."""
    keys: dict[str, set[str]] = {}
    owners: dict[str, Recipe] = {}
    for recipe in recipes:
        prompt_ids = [prompt_id for prompt_id, _ in wanted.get(recipe.teacher, [])]
        keys.setdefault(recipe.shelf, set()).update(map(recipe.response_key, prompt_ids))
        owners[recipe.shelf] = recipe
    rows = {}
    for shelf, shelf_keys in keys.items():
        for batch in store.read(shelf).to_batches() if shelf_keys else []:
            for row in batch.to_pylist():
                if row["response_key"] in shelf_keys and _is_settled(row, owners[shelf], engine):
                    rows[row["response_key"]] = row
    return rows


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


def _by_model(calls: Sequence[Call]) -> list[list[Call]]:
    """Group the calls that one loaded model answers: one template and dtype as well."""
    groups: dict[tuple[str, str, str], list[Call]] = {}
    for call in calls:
        model = call.recipe.model
        place = (model.weights_id, model.chat_template, model.settings.dtype)
        groups.setdefault(place, []).append(call)
    return list(groups.values())


def _calls(wanted: Wanted, recipes: Sequence[Recipe], rows: Mapping[str, Any]) -> list[Call]:
    calls: dict[str, Call] = {}
    for recipe in recipes:
        for prompt_id, prompt in wanted.get(recipe.teacher, []):
            key = recipe.response_key(prompt_id)
            if key not in rows and key not in calls:
                calls[key] = Call(key, recipe, prompt_id, prompt)
    return list(calls.values())


def _responses(
    wanted: Wanted, recipes: Sequence[Recipe], rows: Mapping[str, dict[str, Any]]
) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"teacher": recipe.teacher, **rows[recipe.response_key(prompt_id)]}
            for recipe in recipes
            for prompt_id, _ in wanted.get(recipe.teacher, [])
        ],
        schema=RESPONSES,
    )


def _count(
    wanted: Wanted,
    recipes: Sequence[Recipe],
    calls: Sequence[Call],
    rows: Mapping[str, dict[str, Any]],
) -> pa.Table:
    counts = []
    for recipe in recipes:
        new = [rows[call.key] for call in calls if call.recipe.teacher == recipe.teacher]
        made = [row for row in new if row["engine"] is not None]  # asked at all
        prompt_tokens = sum(row["prompt_tokens"] for row in made)
        completion_tokens = sum(row["completion_tokens"] for row in made)
        counts.append(
            {
                "teacher": recipe.teacher,
                "responses": len(wanted.get(recipe.teacher, [])),
                "calls": len(made),
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "errors": sum(row["error"] is not None for row in new),
                "cost": recipe.cost(prompt_tokens, completion_tokens),
            }
        )
    return pa.Table.from_pylist(counts, schema=CALLS)
