"""Send every prompt to one teacher."""

from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.routers import assignments, check_pool, prompt_scorer, with_pool
from persyn_kedro.domain.teachers import pool_identity, resolve_recipes
from persyn_kedro.foundations.processes import flat, spread
from persyn_kedro.foundations.progress import watching
from persyn_kedro.foundations.settings import Models, RouteSettings, Teachers, step
from persyn_kedro.foundations.tables import TextColumn

BLOCK = 512  # about as many prompts are scored between two words of progress


@step()
def route_prompts(
    prompts: pads.Dataset, router: Path, models: Models, teachers: Teachers, settings: RouteSettings
) -> pa.RecordBatchReader:
    """Return scores and the chosen teacher of every prompt, streamed (``schemas.ASSIGNMENTS``)."""
    pool = pool_identity(resolve_recipes(teachers, models))
    check_pool(router, pool)
    size = settings.batch_size
    texts = TextColumn(prompts, "prompt")
    block = size * max(1, BLOCK // size)
    blocks = spread(prompt_scorer, router, pool, size, items=texts, block=block, label="routing")
    scores = _watched(blocks, len(texts))
    rows = assignments(TextColumn(prompts, "prompt_id"), scores, list(teachers.root))
    return pa.RecordBatchReader.from_batches(with_pool(pool), rows)


def _watched(
    blocks: Generator[tuple[int, list[np.ndarray]], None, None], prompts: int
) -> Iterator[np.ndarray]:
    with watching("scoring prompts", prompts, "prompts") as watch, closing(blocks):
        for scores in flat(blocks):
            watch.advance(len(scores))
            yield scores
