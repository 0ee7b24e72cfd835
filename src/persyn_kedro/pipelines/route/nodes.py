"""Send every prompt to one teacher."""

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.intervals import mean_over_prompts
from persyn_kedro.domain.rewards import compute_rewards
from persyn_kedro.domain.routers import (
    TaskColumns,
    assign,
    check_assignments,
    router_class,
    router_metrics,
    task_columns_of,
)
from persyn_kedro.domain.teachers import pool_identity, resolve_recipes
from persyn_kedro.foundations.settings import Models, Needs, RouteSettings, Teachers, step
from persyn_kedro.foundations.tables import PromptColumns, TextColumn


@step(
    versions_of=(
        router_class,
        router_metrics,
        compute_rewards,
        check_assignments,
        mean_over_prompts,
    ),
    needs=Needs.ROUTER | Needs.CLUSTER,
)
def route_prompts(
    source_prompts: pads.Dataset,
    router: Path,
    models: Models,
    teachers: Teachers,
    settings: RouteSettings,
) -> pa.RecordBatchReader:
    """Return scores and the chosen teacher of every prompt, streamed (``schemas.ASSIGNMENTS``).

    The split of a prompt does not matter: after a new split, no prompt is scored again.
    """
    pool = pool_identity(resolve_recipes(teachers, models))
    ids, tasks = TextColumn(source_prompts, "prompt_id"), task_columns_of(router)
    prompts = TaskColumns(source_prompts, *tasks) if tasks else PromptColumns(source_prompts)
    return assign(ids, prompts, router, pool, settings.batch_size)
