"""Results: how each requested response ended (OUTCOMES), the usage (CALLS), and the texts."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.domain.teachers.requests import TeacherRequests, is_settled
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.tables.memory import give_back
from persyn_kedro.foundations.tables.rows import BLOCK
from persyn_kedro.foundations.tables.schemas import CALLS, OUTCOMES, RESPONSES, with_unsettled


def results_of(requests: list[TeacherRequests]) -> tuple[pa.Table, pa.Table]:
    """Return OUTCOMES and CALLS; ``requests`` is emptied on the way, to free memory."""
    outcomes, calls, unsettled = [OUTCOMES.empty_table()], [], 0
    while requests:
        each = requests.pop(0)
        new = each.outcomes.rows(each.missing_keys)
        calls.append(_calls(each, new))
        failed = new.filter(pc.is_valid(new["error"])).to_pylist()
        unsettled += sum(not is_settled(row, each.engine) for row in failed)
        del new
        outcomes.append(_outcomes(each))
        give_back()
    return with_unsettled(pa.concat_tables(outcomes), unsettled), pa.Table.from_pylist(calls, CALLS)


def _outcomes(requests: TeacherRequests) -> pa.Table:
    if not len(requests.keys):
        return OUTCOMES.empty_table()
    names = pa.repeat(requests.recipe.teacher, len(requests.keys))
    return requests.outcomes.rows(requests.keys).add_column(0, "teacher", names).cast(OUTCOMES)


def _calls(requests: TeacherRequests, new: pa.Table) -> dict[str, Any]:
    made = new.filter(pc.is_valid(new["engine"]))  # sent to the model
    kinds = ("prompt", "completion", "cached_prompt")
    tokens = [pc.sum(made[f"{kind}_tokens"]).as_py() or 0 for kind in kinds]
    return {
        "teacher": requests.recipe.teacher,
        "responses": len(requests.keys),
        "calls": len(made),
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        "cached_prompt_tokens": tokens[2],
        "errors": len(new) - new["error"].null_count,
        "cost": requests.recipe.cost(*tokens),
    }


def sum_calls(tables: list[pa.Table], teachers: list[str]) -> pa.Table:
    """Return ``CALLS`` summed by teacher, in the pool's order."""
    if not tables:
        return pa.Table.from_pylist([], CALLS)
    merged = pa.concat_tables(tables)
    names = [name for name in CALLS.names if name != "teacher"]
    sums = merged.group_by("teacher", use_threads=False).aggregate(
        [(name, "sum") for name in names]
    )
    by_teacher = {row["teacher"]: row for row in sums.to_pylist()}
    rows = [
        {"teacher": t, **{n: by_teacher[t][f"{n}_sum"] for n in names}}
        for t in teachers
        if t in by_teacher
    ]
    return pa.Table.from_pylist(rows, CALLS)


def with_texts(
    outcomes: pa.Table, recipes: Sequence[Recipe], store: ResponseStore
) -> Iterator[pa.RecordBatch]:
    """Yield rows of OUTCOMES as RESPONSES, with the texts from the store.

    Only one teacher's texts are in memory at a time. A failed response has an empty text.

    Raises:
        PersynError: a response is no longer in the store.
    """
    by_name = {recipe.teacher: recipe for recipe in recipes}
    for teacher, rows in _runs(outcomes):
        recipe = by_name[teacher]
        stored = store.read(recipe.shelf, ["response_key", "response"])
        places = pc.index_in(rows["response_key"], value_set=stored["response_key"])
        # Together the texts may exceed 2 GiB, which `string` cannot address.
        known = stored["response"].cast(pa.large_string()).combine_chunks()
        places = pc.if_else(pc.is_null(rows["error"]), places, None)
        if places.null_count > len(rows) - rows["error"].null_count:
            raise PersynError(
                f"Responses of teacher {teacher!r} disappeared from the store during the run; run "
                "the same command again to request them."
            )
        for start in range(0, len(rows), BLOCK):
            block, place = rows.slice(start, BLOCK), places.slice(start, BLOCK)
            texts = pc.fill_null(known.take(place), "").cast(pa.string())
            yield _responses(block, texts, recipe)


def _responses(outcomes: pa.Table, texts: pa.Array, recipe: Recipe) -> pa.RecordBatch:
    """Return rows of OUTCOMES, all of one teacher, as RESPONSES."""
    added = {
        "response": texts,
        "weights_id": pa.repeat(recipe.weights_id, len(texts)),
        "recipe_id": pa.repeat(recipe.recipe_id, len(texts)),
    }
    columns = [
        added[field.name] if field.name in added else outcomes[field.name].cast(field.type)
        for field in RESPONSES
    ]
    (batch,) = pa.table(columns, schema=RESPONSES).combine_chunks().to_batches()
    return batch


def _runs(outcomes: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield each run of consecutive rows with the same teacher."""
    names = outcomes["teacher"].combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy()
    borders = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    for start, end in zip(borders, borders[1:], strict=False):
        if end > start:
            yield outcomes["teacher"][start].as_py(), outcomes.slice(start, end - start)
