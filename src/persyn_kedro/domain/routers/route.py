"""Score every prompt with a saved router and choose its teacher (METHOD.md, section 3)."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.routers.assignment import assignments, with_pool
from persyn_kedro.domain.routers.jobs import prompt_scorer
from persyn_kedro.domain.routers.saving import check_pool
from persyn_kedro.domain.routers.scored import Scored
from persyn_kedro.foundations.processes.map_blocks import flat, spread
from persyn_kedro.foundations.progress import watching
from persyn_kedro.foundations.prompts.conversation import Prompt

BLOCK = 512  # about this many prompts are scored between progress reports


def assign(
    prompt_ids: Sequence[str],
    prompts: Sequence[Prompt],
    router: Path,
    pool: Sequence[dict[str, Any]],
    batch_size: int,
) -> pa.RecordBatchReader:
    """Return scores and the chosen teacher of every prompt, streamed (``schemas.ASSIGNMENTS``).

    Args:
        prompt_ids: n of them.
        prompts: n of them, with their tasks if the router asks for them (``tasks``).
        router: a saved router's directory.
        pool: ``teachers.recipe.pool_identity``: the teachers, in the order of the scores.
        batch_size: prompts per forward pass.

    Raises:
        PersynError: the router is missing, or was fitted for another pool.
    """
    check_pool(router, pool)
    block = batch_size * max(1, BLOCK // batch_size)
    blocks = spread(
        prompt_scorer, router, list(pool), batch_size, items=prompts, block=block, label="routing"
    )
    scores = _watched(blocks, len(prompts))
    teachers = [member["teacher"] for member in pool]
    rows = assignments(prompt_ids, scores, teachers)
    return pa.RecordBatchReader.from_batches(with_pool(pool), rows)


def _watched(
    blocks: Generator[tuple[int, list[Scored]], None, None], prompts: int
) -> Iterator[Scored]:
    with watching("scoring prompts", prompts, "prompts") as watch, closing(blocks):
        for found in flat(blocks):
            watch.advance(len(found.scores))
            yield found
