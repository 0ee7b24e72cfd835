"""What routing by cost would give and take, from answers that are there: no teacher is asked."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.cost_aware import CostModel, prompt_bytes, used_tokens
from persyn_kedro.domain.designs import asked_of
from persyn_kedro.domain.intervals import mean_over_prompts
from persyn_kedro.domain.reporting import frontier_plot, frontier_text, plotly_figure
from persyn_kedro.domain.rewards import fair_matrix, reward_matrix
from persyn_kedro.domain.router_comparison import (
    Measured,
    cross_fit,
    cross_fit_own,
    held_out_scores,
    trace_frontier,
)
from persyn_kedro.domain.routers import measurable, router_class, router_metrics, worth
from persyn_kedro.domain.stores import RoutingStore
from persyn_kedro.foundations.settings import (
    PRICE_FACTOR,
    PRICES,
    CompareRoutersSettings,
    CompareSettings,
    Models,
    Needs,
    RouteSettings,
    Teachers,
    TrainRouterSettings,
    has_price_factor,
    step,
)


@step(
    versions_of=(cross_fit, router_class, reward_matrix, router_metrics, mean_over_prompts),
    needs=Needs.ROUTER,
    texts=("source_prompts",),
    compare_routers=("folds",),
)
def score_out_of_fold(
    source_prompts: pads.Dataset,
    rewards: pads.Dataset,
    models: Models,
    teachers: Teachers,
    train_router: TrainRouterSettings,
    compare_routers: CompareRoutersSettings,
    seed: int,
    routing_store: RoutingStore,
) -> pa.Table:
    """Return calibration prompts' scores by routers as ``train_router`` says, not fitted on them.

    Those that ``compare_routers`` has fitted already are not fitted again.
    """
    return cross_fit_own(
        rewards.to_table(),
        source_prompts,
        list(teachers.root),
        compare_routers,
        train_router,
        models,
        seed,
        routing_store,
    )


@step(
    versions_of=(
        trace_frontier,
        used_tokens,
        reward_matrix,
        mean_over_prompts,
        held_out_scores,
        router_metrics,
    ),
    texts=("source_prompts",),
    teachers=PRICES,
    only_if={has_price_factor: (PRICE_FACTOR,)},
    prints={frontier_text: ("frontier",)},
    train_router=("kind",),
    route=("objective",),
    compare_routers=("resamples", "confidence"),
    compare=("kept_reward",),
)
def measure_frontier(
    frontier_scores: pads.Dataset,
    source_prompts: pads.Dataset,
    rewards: pads.Dataset,
    calibration_responses: pads.Dataset,
    cost_model: dict[str, Any],
    models: Models,
    teachers: Teachers,
    train_router: TrainRouterSettings,
    route: RouteSettings,
    compare_routers: CompareRoutersSettings,
    compare: CompareSettings,
    seed: int,
) -> pa.Table:
    """Return expected reward and cost by cost weight, with what to compare them with."""
    prompt_ids, matrix = fair_matrix(rewards.to_table(), list(teachers.root))
    kept = np.flatnonzero(measurable(matrix))
    own = [prompt_ids[i] for i in kept]
    ids, all_sizes = prompt_bytes(source_prompts)
    places = pc.index_in(pa.array(own, pa.string()), value_set=ids).to_numpy()
    sizes = dict(zip(own, all_sizes[places].tolist(), strict=True))
    costs = CostModel(cost_model["teachers"]).priced(teachers, models)
    measured = Measured(
        held_out_scores(frontier_scores.to_table(), train_router.kind, own),
        worth(matrix[kept]),
        costs.cost(all_sizes[places], route.objective.cost),
        used_tokens(calibration_responses.to_table(), sizes, costs),
        asked_of(rewards.schema) is None,
    )
    return trace_frontier(
        measured,
        list(teachers.root),
        route.objective.cost,
        compare.kept_reward,
        compare_routers,
        seed,
    )


@step(versions_of=(frontier_plot,), needs=Needs.DRAWINGS)
def draw_frontier(frontier: pads.Dataset) -> dict[str, Any]:
    """Return expected reward against tokens as Plotly JSON."""
    return plotly_figure(frontier_plot(frontier.to_table().to_pylist()))
