"""teacher(x) = argmax_k pi(x)_k for every prompt (METHOD section 3)."""

import json
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.routers.persistence import Pool, pool_difference
from persyn_kedro.foundations import schemas
from persyn_kedro.foundations.errors import PersynError

POOL_KEY = b"pool"


def with_pool(pool: Pool) -> pa.Schema:
    """Return ``schemas.ASSIGNMENTS`` with the pool whose order the scores have."""
    return schemas.ASSIGNMENTS.with_metadata({POOL_KEY: json.dumps(list(pool))})


def pool_of(schema: pa.Schema) -> Pool:
    """Return the pool that ``with_pool`` noted (empty where it did not)."""
    return json.loads((schema.metadata or {}).get(POOL_KEY, b"[]"))


def check_assignments(schema: pa.Schema, pool: Pool) -> None:
    """Refuse assignments that were made for another pool of teachers.

    Raises:
        PersynError: names what changed.
    """
    difference = pool_difference(pool_of(schema), pool)
    if difference:
        raise PersynError(
            f"The assignments were made for another pool of teachers ({difference}): run "
            "`kedro run --pipelines=label,train_router,route`."
        )


def assignments(
    prompt_ids: Sequence[str], score_batches: Iterable[np.ndarray], teachers: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield batches of ``schemas.ASSIGNMENTS``.

    Args:
        prompt_ids: in the order of the scores' rows.
        score_batches: arrays of shape (b, K), K in the order of ``teachers``.
    """
    start = 0
    for scores in score_batches:
        ids = prompt_ids[start : start + len(scores)]
        start += len(scores)
        best_two = np.sort(scores, axis=1)[:, -2:]
        rows = {
            "prompt_id": ids,
            # argmax takes the first of equals: ties go to the settings' order.
            "teacher": [teachers[k] for k in scores.argmax(axis=1)],
            "scores": list(scores.astype(np.float32)),
            "margin": (best_two[:, 1] - best_two[:, 0]).astype(np.float32),
        }
        yield pa.RecordBatch.from_pydict(rows, schemas.ASSIGNMENTS)


def ranked_teachers(scores: Sequence[float], teachers: Sequence[str]) -> list[str]:
    """Return the teachers from the router's first choice to its last, ties in settings' order."""
    return [teachers[k] for k in np.argsort(-np.asarray(scores), kind="stable")]
