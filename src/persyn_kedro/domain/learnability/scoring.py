"""Token statistics of many responses: from the store where known, from the student where not."""

from itertools import islice

import pyarrow as pa

from persyn_kedro.domain.learnability.statistics import scorer_id, token_statistics
from persyn_kedro.domain.stores.statistics_store import StatisticsStore
from persyn_kedro.foundations import schemas
from persyn_kedro.foundations.child_process import run_in_child
from persyn_kedro.foundations.weights import ResolvedModel

_CHUNK = 64


def score_responses(
    responses: pa.Table,
    prompt_texts: dict[str, str],
    student: ResolvedModel,
    system: str | None,
    store: StatisticsStore,
    batch_size: int = 1,
    vocabulary_chunk: int = 256,
) -> pa.Table:
    """Return one row of ``schemas.TOKEN_STATISTICS`` for each response that is not an error.

    The student is loaded, in a child process, only if the store lacks a response.
    """
    rows = [r for r in responses.to_pylist() if r["finish_reason"] != "error"]
    shelf = scorer_id(student, system)
    store.describe(
        shelf, {"weights_id": student.weights_id, "dtype": student.settings.dtype, "system": system}
    )
    known = {r["response_key"]: r for r in store.read(shelf).to_pylist()}
    missing = {
        r["response_key"]: (r["response_key"], prompt_texts[r["prompt_id"]], r["response"])
        for r in rows
        if r["response_key"] not in known
    }
    if missing:
        scored = run_in_child(
            token_statistics,
            list(missing.values()),
            student,
            system,
            student.settings.dtype,
            batch_size,
            vocabulary_chunk,
            label=f"scoring with {student.name}",
        )
        while chunk := list(islice(scored, _CHUNK)):
            store.append(shelf, chunk)
            known.update({r["response_key"]: r for r in chunk})
    table = [{**known[r["response_key"]], **_names(r)} for r in rows]
    return pa.Table.from_pylist(table, schemas.TOKEN_STATISTICS)


def _names(row: dict[str, str]) -> dict[str, str]:
    return {"prompt_id": row["prompt_id"], "teacher": row["teacher"]}
