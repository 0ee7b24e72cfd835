"""Fit a router on labels, and send prompts to teachers (METHOD.md, sections 2 and 3)."""

from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.api.label import Labels
from persyn_kedro.api.pool import Pool
from persyn_kedro.api.prompts import prompt_table
from persyn_kedro.api.templates import check_conversations
from persyn_kedro.domain.cost_aware import lacking_answers, pool_costs, weigh
from persyn_kedro.domain.prompts import find_texts
from persyn_kedro.domain.rewards import asked_at_random, reward_matrix
from persyn_kedro.domain.router_comparison import cross_fit_own, own_scale
from persyn_kedro.domain.routers import (
    Weigh,
    assign,
    fit_and_save,
    read_description,
    readers_of,
    settings_in,
    task_columns_of,
    with_tasks,
)
from persyn_kedro.domain.stores import RoutingStore
from persyn_kedro.domain.teachers import pool_identity
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings import (
    CompareRoutersSettings,
    RouteSettings,
    check_route,
    needs_reward_scale,
    read_group,
)
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
    check_conversations(labels.prompts, pool, train_router=chosen)
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


def route(
    prompts: Any,
    router: str | Path,
    pool: Pool,
    batch_size: int = 16,
    *,
    labels: Labels | None = None,
    answers: int = 1,
    **settings: Any,
) -> pa.Table:
    """Return the teacher for each prompt, with all scores (``schemas.ASSIGNMENTS``).

    Args:
        prompts: as for :func:`prompt_table`.
        router: what :func:`fit_router` returned.
        pool: the pool that it was fitted for.
        batch_size: prompts per forward pass.
        labels: what :func:`label` returned for this pool: what answers are expected to cost, which
            costs and limits need. Prompts that were labelled lack fewer answers.
        answers: that :func:`generate` will ask for each prompt (its ``samples``); likewise.
        settings: of ``route``: ``objective={"cost_weight": 0.1}``, ``budget={"max_tokens": 1e6}``
            and ``capacity={"brief": 0.5}``. Limits are on the answers to all of these prompts.

    Raises:
        PersynError: the router does not exist, or was fitted for another pool; a bad setting,
            limits that cannot be kept, or costs or limits without labels.
    """
    chosen = read_group("route", {"batch_size": batch_size, **settings})
    if "focus" in settings:
        raise PersynError("Parameter route.focus: only a project's runs have it; leave it out.")
    check_route(chosen, pool.teachers)
    table = prompt_table(prompts)
    asked = dict(zip(table["prompt_id"].to_pylist(), prompts_of(table), strict=True))
    asked = with_tasks(asked, pads.dataset(table), task_columns_of(Path(router)))
    check_conversations(table, pool, train_router=settings_in(read_description(Path(router))))
    weighing = _weighing(table, Path(router), pool, labels, answers, chosen)
    return assign(
        list(asked),
        list(asked.values()),
        Path(router),
        pool_identity(pool.recipes),
        chosen.batch_size,
        weighing,
    ).read_all()


def _weighing(
    table: pa.Table,
    router: Path,
    pool: Pool,
    labels: Labels | None,
    answers: int,
    settings: RouteSettings,
) -> Weigh | None:
    """Return what costs and limits make of the scores; None if there are none."""
    if not settings.weighed:
        return None
    if labels is None:
        raise PersynError(
            "route.objective, budget and capacity weigh what answers cost, which the answers of "
            "labelling show: give labels=, what label() returned."
        )
    labelled, scale = pads.dataset(labels.prompts), None
    if needs_reward_scale([settings]):
        own, names = settings_in(read_description(router)), list(pool.teachers.root)
        scored = cross_fit_own(
            labels.rewards,
            labelled,
            names,
            CompareRoutersSettings(),
            own,
            pool.models,
            pool.seed,
            RoutingStore(pool.stores / "routing"),
        )
        scale = own_scale(scored, labels.rewards, names, own.kind)
    return partial(
        weigh,
        asked=lacking_answers(
            pads.dataset(table),
            None,
            labels.prompts["prompt_id"],
            pads.dataset(labels.responses),
            pool.teachers,
            answers,
        ),
        costs=pool_costs(labels.responses, labelled, pool.teachers).priced(
            pool.teachers, pool.models
        ),
        scale=scale,
        settings=settings,
    )
