"""Send every prompt to one teacher, by reward alone or within costs and limits."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.cost_aware import (
    Asked,
    CostModel,
    fit_cost_model,
    prompt_bytes,
    reward_scale,
    weigh,
)
from persyn_kedro.domain.designs import asked_of, unanswered
from persyn_kedro.domain.intervals import mean_over_prompts
from persyn_kedro.domain.prompts import ANSWERED, CALIBRATION, select_ids
from persyn_kedro.domain.rewards import compute_rewards, fair_matrix, reward_matrix
from persyn_kedro.domain.router_comparison import cross_fit, cross_fit_own, held_out_scores
from persyn_kedro.domain.routers import (
    TaskColumns,
    assign,
    check_assignments,
    measurable,
    router_class,
    router_metrics,
    task_columns_of,
    worth,
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
    needs_reward_scale,
    step,
    weighs_costs,
)
from persyn_kedro.foundations.tables import PromptColumns, TextColumn

_PRICES = ("teachers.price", "teachers.prompt_price", "teachers.cached_prompt_price")


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
    responses = calibration_responses.to_table()
    ids, sizes = prompt_bytes(source_prompts)
    own = pc.is_in(ids, value_set=pc.unique(responses["prompt_id"]))
    known = dict(zip(ids.filter(own).to_pylist(), sizes[own.to_numpy()].tolist(), strict=True))
    costs, scale = fit_cost_model(responses, known, teachers), None
    if needs_reward_scale([settings]):
        table, names = rewards.to_table(), list(teachers.root)
        scored = cross_fit_own(
            table, source_prompts, names, compare_routers, train_router, models, seed, routing_store
        )
        prompt_ids, fair = fair_matrix(table, names)
        kept = measurable(fair)
        scores = held_out_scores(scored, train_router.kind, prompt_ids)
        scale = reward_scale(scores[kept], worth(fair[kept]))
    return {"teachers": dict(costs.teachers), "scale": scale}


@step(
    versions_of=(
        router_class, router_metrics, compute_rewards, check_assignments, mean_over_prompts, weigh,
        fit_cost_model,
    ),
    needs=Needs.ROUTER | Needs.CLUSTER,
    check=check_route,
    only_if={
        weighs_costs: ("prompts", "cost_model", "calibration_responses", "generate", *_PRICES),
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
) -> pa.RecordBatchReader:
    """Return scores and the chosen teacher of every prompt, streamed (``schemas.ASSIGNMENTS``).

    Without costs or limits the split of a prompt does not matter: after a new split, no prompt is
    scored again.
    """
    pool = pool_identity(resolve_recipes(teachers, models))
    ids, tasks = TextColumn(source_prompts, "prompt_id"), task_columns_of(router)
    asked = TaskColumns(source_prompts, *tasks) if tasks else PromptColumns(source_prompts)
    weighing = None
    if weighs_costs([settings]):
        weighing = partial(
            weigh,
            asked=_asked(source_prompts, prompts, calibration_responses, teachers, generate),
            costs=CostModel(cost_model["teachers"]).priced(teachers, models),
            scale=cost_model["scale"],
            settings=settings,
        )
    return assign(ids, asked, router, pool, settings.batch_size, weighing)


def _asked(
    source_prompts: pads.Dataset,
    prompts: pads.Dataset,
    calibration_responses: pads.Dataset,
    teachers: Teachers,
    generate: GenerateSettings,
) -> Asked:
    """Return what each prompt's answers would need: those from labelling are there already."""
    ids, sizes = prompt_bytes(source_prompts)
    known = np.array([teacher.samples for teacher in teachers.root.values()])
    calibration, counted = (
        pc.is_in(ids, value_set=select_ids(prompts, splits)["prompt_id"]).to_numpy()
        for splits in (CALIBRATION, ANSWERED)
    )
    unasked = None
    if asked_of(calibration_responses.schema) is not None:
        pairs = calibration_responses.to_table(columns=["prompt_id", "teacher"])
        unasked = unanswered(pairs, ids.filter(pa.array(calibration)), list(teachers.root))
    return Asked(sizes, counted, calibration, generate.at_once, known, unasked)
