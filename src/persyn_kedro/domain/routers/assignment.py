"""teacher(x) = argmax_k pi(x)_k for every prompt (METHOD section 3)."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.routers.saving import Pool, pool_difference
from persyn_kedro.domain.routers.scored import Scored
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.rows import BLOCK, read_blocks

VERSION = 1  # raise it when the same inputs give another result

POOL_KEY, WEIGHED_KEY = b"pool", b"weighed"
ERRORS = schemas.ASSIGNMENTS.field("standard_errors").type


def with_pool(pool: Pool, weighed: dict[str, Any] | None = None) -> pa.Schema:
    """Return ``schemas.ASSIGNMENTS`` with a note of the pool whose order the scores have.

    ``weighed`` notes what costs and limits took off the scores (``cost_aware.weigh``).
    """
    notes = {POOL_KEY: json.dumps(list(pool))}
    if weighed is not None:
        notes[WEIGHED_KEY] = json.dumps(weighed)
    return schemas.ASSIGNMENTS.with_metadata(notes)


def pool_of(schema: pa.Schema) -> Pool:
    """Return the pool noted by ``with_pool``, or an empty one."""
    return json.loads((schema.metadata or {}).get(POOL_KEY, b"[]"))


def weighed_by(schema: pa.Schema) -> dict[str, Any] | None:
    """Return the note of assignments by costs or limits, or None."""
    return json.loads((schema.metadata or {}).get(WEIGHED_KEY, b"null"))


def check_assignments(schema: pa.Schema, pool: Pool) -> None:
    """Refuse assignments made for another pool of teachers.

    Raises:
        PersynError: names what changed.
    """
    difference = pool_difference(pool_of(schema), pool)
    if difference:
        raise PersynError(
            f"The assignments were made for another pool of teachers ({difference}). Run "
            "`kedro run --pipelines=label,train_router,route`."
        )


def assignments(
    prompt_ids: Sequence[str],
    score_batches: Iterable[Scored | np.ndarray],
    teachers: Sequence[str],
) -> Iterator[pa.RecordBatch]:
    """Yield batches of ``schemas.ASSIGNMENTS``, of at least ``BLOCK`` rows each except the last.

    Args:
        prompt_ids: in the order of the scores' rows.
        score_batches: of shape (b, K), K in the order of ``teachers``; plain arrays have no
            standard errors.
    """
    start = 0
    for scores, errors in _joined(score_batches):
        ids = prompt_ids[start : start + len(scores)]
        start += len(scores)
        best_two = np.sort(scores, axis=1)[:, -2:]
        # argmax takes the first of a tie, so ties go to the settings' order.
        best = pa.array(teachers, pa.string()).take(pa.array(scores.argmax(axis=1)))
        columns = [
            pa.array(ids, pa.string()),
            best,
            _lists(scores),
            pa.array((best_two[:, 1] - best_two[:, 0]).astype(np.float32)),
            pa.nulls(len(ids), ERRORS) if errors is None else _lists(errors),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schemas.ASSIGNMENTS)


def _lists(values: np.ndarray) -> pa.ListArray:
    """Return a row of (b, K) as a list each."""
    ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(ends, values.astype(np.float32).ravel())


def _joined(batches: Iterable[Scored | np.ndarray]) -> Iterator[Scored]:
    """Join batches of scores: tables of a few rows each would take longer than the scores."""
    group: list[Scored] = []
    rows = 0
    for batch in batches:
        group.append(batch if isinstance(batch, Scored) else Scored(batch))
        rows += len(group[-1].scores)
        if rows >= BLOCK:
            yield join(group)
            group, rows = [], 0
    if group:
        yield join(group)


def join(group: Sequence[Scored]) -> Scored:
    """Return batches of scores as one; without any, no scores."""
    if not group:
        return Scored(np.empty((0, 0), np.float32))
    errors = [found.errors for found in group if found.errors is not None]
    scores = np.concatenate([found.scores for found in group])
    return Scored(scores, np.concatenate(errors) if errors else None)


def ranked_places(assignments: pads.Dataset, most: int) -> tuple[pa.ChunkedArray, np.ndarray]:
    """Return the prompt_ids of assignments, and ``ranked`` of each one's scores."""
    ids, places = [], [np.empty((0, most), np.int16)]
    for block in read_blocks(assignments, ["prompt_id", "scores"]):
        if len(block):
            ids.append(block["prompt_id"])
            scores = block["scores"].flatten().to_numpy().reshape(len(block), -1)
            places.append(ranked(scores, most))
    most = min(own.shape[1] for own in places)  # the pool may be smaller
    return pa.chunked_array(ids, pa.string()), np.concatenate([own[:, :most] for own in places])


def ranked(scores: np.ndarray, most: int) -> np.ndarray:
    """Return the indices of the ``most`` highest of (n, K) scores, as (n, ``most``) int16.

    The highest comes first; ties go to the settings' order.
    """
    return np.argsort(-scores, axis=1, kind="stable")[:, :most].astype(np.int16)


def ranked_teachers(scores: Sequence[float], teachers: Sequence[str]) -> list[str]:
    """Return the teachers from the router's first choice to its last, ties in settings' order."""
    return [teachers[k] for k in ranked(np.asarray(scores)[None], len(teachers))[0]]
