"""Send every prompt to one teacher, by reward alone or within costs and limits."""

from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.cost_aware import (
    CostModel,
    fit_cost_model,
    lacking_answers,
    pool_costs,
    weigh,
)
from persyn_kedro.domain.intervals import mean_over_prompts
from persyn_kedro.domain.prompts import ANSWERED, CALIBRATION, passed_over, select_ids
from persyn_kedro.domain.rewards import compute_rewards, reward_matrix
from persyn_kedro.domain.router_comparison import cross_fit, cross_fit_own, own_scale
from persyn_kedro.domain.routers import (
    TaskColumns,
    assign,
    check_assignments,
    router_class,
    router_metrics,
    task_columns_of,
)
from persyn_kedro.domain.stores import RoutingStore
from persyn_kedro.domain.teachers import pool_identity, resolve_recipes
from persyn_kedro.foundations.settings import (
    CompareRoutersSettings,
    GenerateSettings,
    Models,
    Needs,
    RouteSettings,
    Teachers,
    TrainRouterSettings,
    check_route,
    limits_those_left,
    needs_reward_scale,
    prices_if,
    step,
    weighs_costs,
)
from persyn_kedro.foundations.tables import PromptColumns, TextColumn


@step(
    versions_of=(
        fit_cost_model, cross_fit, router_class, reward_matrix, router_metrics,
        mean_over_prompts,
    ),
    needs=Needs.ROUTER,
    texts=("source_prompts",),
    settings=("objective",),
    compare_routers=("folds",),
    only_if={needs_reward_scale: ("rewards", "train_router", "compare_routers")},
)  # fmt: skip
def model_costs(
    calibration_responses: pads.Dataset,
    source_prompts: pads.Dataset,
    rewards: pads.Dataset,
    models: Models,
    teachers: Teachers,
    train_router: TrainRouterSettings,
    compare_routers: CompareRoutersSettings,
    settings: RouteSettings,
    seed: int,
    routing_store: RoutingStore,
) -> dict[str, Any]:
    """Return each teacher's expected tokens by the prompt's length, and the scale of the scores.

    The scale is only for ``route.objective``: the slope of the reward on the scores of calibration
    prompts by routers of the same kind that were not fitted on them.
    """
    costs, scale = pool_costs(calibration_responses.to_table(), source_prompts, teachers), None
    if needs_reward_scale([settings]):
        table, names = rewards.to_table(), list(teachers.root)
        scored = cross_fit_own(
            table, source_prompts, names, compare_routers, train_router, models, seed, routing_store
        )
        scale = own_scale(scored, table, names, train_router.kind)
    return {"teachers": dict(costs.teachers), "scale": scale}


@step(
    versions_of=(
        router_class, router_metrics, compute_rewards, check_assignments, mean_over_prompts, weigh,
        fit_cost_model,
    ),
    needs=Needs.ROUTER | Needs.CLUSTER,
    check=check_route,
    only_if={
        **prices_if(weighs_costs, "prompts", "cost_model", "calibration_responses", "generate"),
        limits_those_left: ("focus",),
    },
    settings=("objective", "budget", "capacity"),
    generate=("samples", "keep"),
)  # fmt: skip
def route_prompts(
    source_prompts: pads.Dataset,
    router: Path,
    models: Models,
    teachers: Teachers,
    settings: RouteSettings,
    generate: GenerateSettings,
    prompts: pads.Dataset,
    cost_model: dict[str, Any],
    calibration_responses: pads.Dataset,
    focus: pads.Dataset,
) -> pa.RecordBatchReader:
    """Return scores and the chosen teacher of every prompt, streamed (``schemas.ASSIGNMENTS``).

    Without costs or limits the split of a prompt does not matter: after a new split, no prompt is
    scored again. Limits are those of the prompts that ``focus`` leaves.
    """
    pool = pool_identity(resolve_recipes(teachers, models))
    ids, tasks = TextColumn(source_prompts, "prompt_id"), task_columns_of(router)
    asked = TaskColumns(source_prompts, *tasks) if tasks else PromptColumns(source_prompts)
    weighing = None
    if weighs_costs([settings]):
        weighing = partial(
            weigh,
            asked=lacking_answers(
                source_prompts,
                counted_prompts(prompts, passed_over(focus) if settings.limited else None),
                select_ids(prompts, CALIBRATION)["prompt_id"],
                calibration_responses,
                teachers,
                generate.at_once,
            ),
            costs=CostModel(cost_model["teachers"]).priced(teachers, models),
            scale=cost_model["scale"],
            settings=settings,
        )
    return assign(ids, asked, router, pool, settings.batch_size, weighing)


def counted_prompts(prompts: pads.Dataset, passed: pa.Array | None) -> pa.ChunkedArray:
    """Return the ids of the prompts that limits count: those that will get an answer."""
    answered = select_ids(prompts, ANSWERED)["prompt_id"]
    if passed is None:
        return answered
    return answered.filter(pc.invert(pc.is_in(answered, value_set=passed)))
