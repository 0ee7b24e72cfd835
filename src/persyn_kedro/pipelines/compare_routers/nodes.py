"""Compare kinds of router and sizes of the calibration set by cross-validation."""

from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.intervals import mean_over_prompts
from persyn_kedro.domain.prompts import find_texts
from persyn_kedro.domain.reporting import (
    calibration_plot,
    learning_curve,
    plotly_figure,
    routers_text,
)
from persyn_kedro.domain.rewards import asked_at_random, fair_matrix, reward_matrix
from persyn_kedro.domain.router_comparison import (
    calibration_spent,
    check_kinds,
    compared,
    cross_fit,
    preference_routers,
    summarise_routers,
)
from persyn_kedro.domain.routers import router_class, router_metrics, with_tasks
from persyn_kedro.domain.stores import RoutingStore
from persyn_kedro.foundations.settings import (
    PRICES,
    CompareRoutersSettings,
    Models,
    Needs,
    Teachers,
    TrainRouterSettings,
    has_price_factor,
    prices_of,
    step,
)


@step(
    versions_of=(cross_fit, router_class, router_metrics, reward_matrix, mean_over_prompts),
    needs=Needs.ROUTER,
    check=check_kinds,
    texts=("source_prompts",),
    settings=("kinds", "routers", "folds", "repeats", "sizes"),
)
def cross_fit_routers(
    calibration_set: pads.Dataset,
    source_prompts: pads.Dataset,
    rewards: pads.Dataset,
    models: Models,
    teachers: Teachers,
    train_router: TrainRouterSettings,
    settings: CompareRoutersSettings,
    seed: int,
    routing_store: RoutingStore,
) -> pa.Table:
    """Return calibration prompts' scores by routers not fitted on them (``ROUTER_SCORES``)."""
    texts = dict(find_texts(source_prompts, calibration_set.to_table()["prompt_id"]))
    columns = [
        c for router in compared(settings, train_router).values() for c in router.task_columns
    ]
    texts = with_tasks(texts, source_prompts, list(dict.fromkeys(columns)))
    table, names = rewards.to_table(), list(teachers.root)
    prompt_ids, matrix = reward_matrix(table, names)
    return cross_fit(
        {prompt_id: texts[prompt_id] for prompt_id in prompt_ids},
        matrix,
        settings,
        train_router,
        models,
        seed,
        routing_store,
        asked_at_random(table, names),
    )


@step(
    versions_of=(
        summarise_routers,
        preference_routers,
        router_metrics,
        reward_matrix,
        mean_over_prompts,
    ),
    prints={routers_text: ("router_comparison",)},
    teachers=PRICES,
    models=("price_factor",),
    only_if={has_price_factor: ("models",)},
    settings=("kinds", "routers", "resamples", "confidence"),
)
def measure_routers(
    router_scores: pads.Dataset,
    rewards: pads.Dataset,
    calibration_responses: pads.Dataset,
    models: Models,
    teachers: Teachers,
    train_router: TrainRouterSettings,
    settings: CompareRoutersSettings,
    seed: int,
) -> dict[str, Any]:
    """Return Hit@k, regret and AUC with intervals, the learning curve and the calibration."""
    prompt_ids, matrix = fair_matrix(rewards.to_table(), list(teachers.root))
    spent = calibration_spent(calibration_responses.to_table(), prices_of(teachers, models))
    return summarise_routers(
        router_scores.to_table(),
        prompt_ids,
        matrix,
        settings,
        seed,
        spent,
        preference_routers(settings, train_router),
    )


@step(version=2, versions_of=(calibration_plot,), needs=Needs.DRAWINGS)
def draw_router_plots(
    router_comparison: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the router's calibration and its learning curve as Plotly JSON."""
    return (
        plotly_figure(calibration_plot(router_comparison)),
        plotly_figure(learning_curve(router_comparison)),
    )
