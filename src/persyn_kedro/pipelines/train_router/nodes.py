"""Fit the router on the rewards, and measure it on held-out prompts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as pads

from persyn_kedro.domain.designs import asked_of, of_random_ones
from persyn_kedro.domain.intervals import mean_over_prompts
from persyn_kedro.domain.prompts import find_texts
from persyn_kedro.domain.rewards import NOT_ASKED, fitted_rewards, reward_matrix
from persyn_kedro.domain.router_comparison import (
    HeldOut,
    cross_fit,
    own_learning,
    summarise_routers,
)
from persyn_kedro.domain.routers import (
    calibration_examples,
    fit_and_save,
    readers_of,
    router_class,
    router_metrics,
    selection_of,
    task_columns_of,
    with_tasks,
)
from persyn_kedro.domain.stores import RoutingStore
from persyn_kedro.domain.teachers import Recipe, pool_identity, resolve_recipes
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.prompts import Prompt
from persyn_kedro.foundations.settings import (
    PRICES,
    Models,
    Needs,
    Teachers,
    TrainRouterSettings,
    prices_of,
    step,
)
from persyn_kedro.foundations.tables import prompt_of


@step(
    versions_of=(router_class, router_metrics, fitted_rewards, mean_over_prompts),
    needs=Needs.ROUTER | Needs.PROCESSES,
    spoken={"router": "trained router"},
)
def fit_router(
    prompts: pads.Dataset,
    rewards: pads.Dataset,
    models: Models,
    teachers: Teachers,
    settings: TrainRouterSettings,
    seed: int,
    workspace: Path,
) -> tuple[Path, list[dict[str, Any]]]:
    """Return the router's directory and its loss by epoch."""
    recipes = resolve_recipes(teachers, models)
    _check_rewards(rewards, recipes)
    asked, matrix = _examples(prompts, rewards, teachers, "fit", settings.task_columns)
    directory = workspace / "router"
    backbone = readers_of(models, settings)
    pool = pool_identity(recipes)
    _, fair = _examples(prompts, rewards, teachers, "fit", fair=True)
    at_random = fair != NOT_ASKED
    curve = fit_and_save(
        asked,
        matrix,
        settings,
        backbone,
        seed,
        pool,
        directory,
        at_random if (at_random != (matrix != NOT_ASKED)).any() else None,
    )
    return directory, curve


@step(
    versions_of=(
        router_class, router_metrics, fitted_rewards, mean_over_prompts, cross_fit, reward_matrix,
        summarise_routers,
    ),
    needs=Needs.ROUTER,
    teachers=PRICES,
    models=("price_factor",),
)  # fmt: skip
def measure_router(
    router: Path,
    prompts: pads.Dataset,
    rewards: pads.Dataset,
    models: Models,
    teachers: Teachers,
    settings: TrainRouterSettings,
    calibration_responses: pads.Dataset,
    seed: int,
    routing_store: RoutingStore,
) -> dict[str, Any]:
    """Return Hit@k and regret of router, constant and random on the held-out prompts.

    A router that chose itself (kind auto) adds ``selection``: ``domain.routers.selection``. One
    that is fitted in seconds adds ``learning``: ``domain.router_comparison.own_learning``.
    """
    columns = task_columns_of(router)
    asked, held_out = _examples(prompts, rewards, teachers, "holdout", columns, fair=True)
    _, fitted = _examples(prompts, rewards, teachers, "fit", fair=True)
    pool = pool_identity(resolve_recipes(teachers, models))
    apart = HeldOut(asked, router, pool, settings.batch_size)
    table = rewards.to_table()
    texts = dict(find_texts(prompts, table["prompt_id"]))
    learning = own_learning(
        router,
        with_tasks(texts, prompts, columns),
        table,
        calibration_responses.to_table(),
        prices_of(teachers, models),
        models,
        seed,
        routing_store,
        apart.fit,
    )
    metrics = router_metrics(apart.scores(), held_out, fitted)
    more = {"selection": selection_of(router), "learning": learning}
    return {**metrics, **{name: found for name, found in more.items() if found}}


def _check_rewards(rewards: pads.Dataset, recipes: list[Recipe]) -> None:
    """Refuse rewards of another pool: the router would be taken for one of this pool."""
    found: dict[str, tuple[str, str, int]] = {}
    columns = ["prompt_id", "teacher", "response_key", "sample_index"]
    for row in rewards.to_table(columns=columns).to_pylist():
        if row["response_key"] is not None:
            what = (row["prompt_id"], row["response_key"], row["sample_index"] or 0)
            found.setdefault(row["teacher"], what)
    for recipe in recipes:
        prompt_id, key, sample = found.get(recipe.teacher, ("", "", 0))
        if recipe.response_key(prompt_id, sample) != key:
            raise PersynError(
                f"The rewards do not match the current settings of teacher {recipe.teacher!r}: run "
                "`kedro run --pipelines=label`."
            )


def _examples(
    prompts: pads.Dataset,
    rewards: pads.Dataset,
    teachers: Teachers,
    part: str,
    tasks: Sequence[str] = (),
    fair: bool = False,
) -> tuple[list[Prompt], np.ndarray]:
    """Return the prompts, with these columns of their tasks, and the (n, K) rewards of one part.

    ``fair``: only what was asked at random, which metrics are unbiased on.
    """
    table = rewards.to_table()
    table = of_random_ones(table, asked_of(table.schema)) if fair else table
    rows, matrix = calibration_examples(prompts, table, list(teachers.root), part)
    if not rows:
        raise PersynError(
            f"No calibration prompt falls into the router's {part} part: add prompts or raise "
            "prepare.calibration_fraction."
        )
    asked = {row["prompt_id"]: prompt_of(row) for row in rows}
    return list(with_tasks(asked, prompts, tasks).values()), matrix
