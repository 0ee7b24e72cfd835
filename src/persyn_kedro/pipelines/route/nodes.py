"""Send every prompt to one teacher."""

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.routers.assignment import assignments, with_pool
from persyn_kedro.domain.routers.jobs import score_prompts_job
from persyn_kedro.domain.routers.persistence import check_pool
from persyn_kedro.domain.teachers.recipes import pool_identity, resolve_recipes
from persyn_kedro.foundations.child_process import run_in_child
from persyn_kedro.foundations.model_parameters import Models, Teachers
from persyn_kedro.foundations.step import step
from persyn_kedro.foundations.step_parameters import RouteSettings
from persyn_kedro.foundations.table_rows import TextColumn


@step()
def route_prompts(
    prompts: pads.Dataset, router: Path, models: Models, teachers: Teachers, settings: RouteSettings
) -> pa.RecordBatchReader:
    """Return scores and the chosen teacher of every prompt, streamed (``schemas.ASSIGNMENTS``)."""
    pool = pool_identity(resolve_recipes(teachers, models))
    check_pool(router, pool)
    batches = run_in_child(
        score_prompts_job,
        TextColumn(prompts, "prompt"),
        router,
        pool,
        settings.batch_size,
        label="routing",
    )
    rows = assignments(TextColumn(prompts, "prompt_id"), batches, list(teachers.root))
    return pa.RecordBatchReader.from_batches(with_pool(pool), rows)
