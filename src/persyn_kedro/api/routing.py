"""Fit a router on labels, and send prompts to teachers (METHOD.md, sections 2 and 3)."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.api.label import Labels
from persyn_kedro.api.pool import Pool
from persyn_kedro.api.prompts import prompt_table
from persyn_kedro.domain.prompts import find_texts
from persyn_kedro.domain.rewards import asked_at_random, reward_matrix
from persyn_kedro.domain.routers import (
    assign,
    fit_and_save,
    readers_of,
    task_columns_of,
    with_tasks,
)
from persyn_kedro.domain.teachers import pool_identity
from persyn_kedro.foundations.settings import read_group
from persyn_kedro.foundations.tables import prompts_of


def fit_router(labels: Labels, pool: Pool, directory: str | Path, **settings: Any) -> Path:
    """Fit a router on the rewards of labels, save it and return its directory.

    Args:
        labels: what :func:`label` returned for this pool.
        pool: teachers and student.
        directory: where to save the router; an existing one is replaced.
        settings: of ``train_router``, such as ``kind="knn"`` or ``backbone="small"`` (default: the
            student's model).

    Raises:
        PersynError: a bad setting, or rewards that do not tell the teachers apart.
    """
    given = {"kind": "knn", "backbone": pool.student.model, **settings}
    chosen = read_group("train_router", given)
    prompt_ids, rewards = reward_matrix(labels.rewards, list(pool.teachers.root))
    table = pads.dataset(labels.prompts)
    asked = dict(find_texts(table, pa.array(prompt_ids, pa.string())))
    fit_and_save(
        list(with_tasks(asked, table, chosen.task_columns).values()),
        rewards,
        chosen,
        readers_of(pool.models, chosen),
        pool.seed,
        pool_identity(pool.recipes),
        Path(directory),
        asked_at_random(labels.rewards, list(pool.teachers.root)),
    )
    return Path(directory)


def route(prompts: Any, router: str | Path, pool: Pool, batch_size: int = 16) -> pa.Table:
    """Return the teacher for each prompt, with all scores (``schemas.ASSIGNMENTS``).

    Args:
        prompts: as for :func:`prompt_table`.
        router: what :func:`fit_router` returned.
        pool: the pool that it was fitted for.
        batch_size: prompts per forward pass.

    Raises:
        PersynError: the router does not exist, or was fitted for another pool.
    """
    table = prompt_table(prompts)
    asked = dict(zip(table["prompt_id"].to_pylist(), prompts_of(table), strict=True))
    asked = with_tasks(asked, pads.dataset(table), task_columns_of(Path(router)))
    ids, prompts = list(asked), list(asked.values())
    return assign(ids, prompts, Path(router), pool_identity(pool.recipes), batch_size).read_all()
