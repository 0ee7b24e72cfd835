"""Which teacher answers which prompt under each strategy."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.comparison import (
    STATISTICS,
    Labelled,
    Pool,
    RouterScores,
    Scores,
    allocate,
    cheap_scores,
    check_variants,
    mean_nll,
    score_variants,
    variants_of,
)
from persyn_kedro.domain.cost_aware import CostModel, prompt_bytes
from persyn_kedro.domain.designs import asked_of
from persyn_kedro.domain.intervals import mean_over_prompts
from persyn_kedro.domain.learnability import signal_of
from persyn_kedro.domain.prompts import ANSWERED, prompts_left_out, select_ids, without
from persyn_kedro.domain.rewards import NOT_ASKED, compute_rewards, fair_matrix, reward_matrix
from persyn_kedro.domain.router_comparison import Measured
from persyn_kedro.domain.routers import check_assignments, router_class, router_metrics, weighed_by
from persyn_kedro.domain.stores import RoutingStore
from persyn_kedro.domain.teachers import pool_identity, resolve_recipes
from persyn_kedro.foundations.settings import (
    REWARD_FIELDS,
    CompareRoutersSettings,
    CompareSettings,
    LabelSettings,
    Models,
    Needs,
    RoundsSettings,
    RouteSettings,
    StudentSettings,
    Teachers,
    TrainRouterSettings,
    compares_cheap,
    leaves_out,
    names_routers,
    prices_if,
    step,
)

TRAINED_ON = ("fit", "holdout", "sft")  # the parts of the prompts, except the withheld one


@step(
    versions_of=(
        score_variants,
        router_class,
        router_metrics,
        compute_rewards,
        signal_of,
        mean_over_prompts,
    ),
    needs=Needs.ROUTER,
    check=check_variants,
    only_if={names_routers: ("compare_routers.routers",)},
    label=(*REWARD_FIELDS, "local"),
    settings=("strategies", "alphas", "variants"),
)
def route_variants(
    prompts: pads.Dataset,
    calibration_responses: pads.Dataset,
    token_statistics: pads.Dataset,
    quality: pads.Dataset,
    models: Models,
    teachers: Teachers,
    label: LabelSettings,
    train_router: TrainRouterSettings,
    compare_routers: CompareRoutersSettings,
    settings: CompareSettings,
    seed: int,
    routing_store: RoutingStore,
) -> pa.Table:
    """Return the scores of other routers, or at other rewards (``schemas.VARIANT_SCORES``)."""
    return score_variants(
        variants_of(settings, compare_routers, train_router, label.alpha),
        prompts,
        Labelled(
            calibration_responses.to_table(),
            token_statistics.to_table(),
            quality.to_table(),
            list(teachers.root),
            label,
        ),
        models,
        seed,
        routing_store,
    )


@step(
    versions_of=(
        allocate,
        compute_rewards,
        check_assignments,
        CostModel,
        Measured,
        router_metrics,
    ),
    only_if={
        **prices_if(compares_cheap, "cost_model", "route"),
        leaves_out: ("focus", "route", "rounds"),
    },
    models=("family",),
    label=("alpha",),
    train_router=("kind",),
    settings=("strategies", "alphas", "variants", "mix_strong_share", "car_beta", "kept_reward"),
    route=("focus", "objective"),
    rounds=("count",),
)
def allocate_prompts(
    prompts: pads.Dataset,
    rewards: pads.Dataset,
    token_statistics: pads.Dataset,
    assignments: pads.Dataset,
    variant_scores: pads.Dataset,
    router_scores: pads.Dataset,
    focus: pads.Dataset,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    label: LabelSettings,
    train_router: TrainRouterSettings,
    route: RouteSettings,
    rounds: RoundsSettings,
    settings: CompareSettings,
    seed: int,
    cost_model: dict[str, Any],
) -> tuple[pa.Table, dict[str, Any]]:
    """Return who answers what under each strategy, and notes on the strategies."""
    check_assignments(assignments.schema, pool_identity(resolve_recipes(teachers, models)))
    held_out = [
        row
        for row in router_scores.to_table().to_pylist()
        if row["kind"] == train_router.kind and row["size"] == 1.0 and not row["repeat"]
    ]
    routed = _scores(assignments.to_table(columns=["prompt_id", "scores"]).to_pylist())
    cheap: Scores | str = ""
    if compares_cheap([settings]):
        cheap = "the assignments weigh costs already (route)"
        if weighed_by(assignments.schema) is None:
            ids, sizes = prompt_bytes(prompts)
            cheap = cheap_scores(
                {i: routed[i] for i in select_ids(prompts, ANSWERED)["prompt_id"].to_pylist()},
                _scores(held_out),
                fair_matrix(rewards.to_table(), list(teachers.root)),
                CostModel(cost_model["teachers"]).priced(teachers, models),
                dict(zip(ids.to_pylist(), sizes.tolist(), strict=True)),
                route.objective.cost,
                settings.kept_reward,
                reward_matrix(rewards.to_table(), list(teachers.root))[1] != NOT_ASKED,
            )
    ids = select_ids(prompts, ANSWERED, TRAINED_ON)["prompt_id"]
    if leaves_out((route, rounds)):
        ids = ids.take(pa.array(without(ids, prompts_left_out(focus))))
    return allocate(
        ids.to_pylist(),
        Pool(
            list(teachers.root),
            {name: models.root[t.model].family for name, t in teachers.root.items()},
            models.root[student.model].family,
        ),
        rewards.to_table(),
        mean_nll(
            token_statistics.to_table(columns=["prompt_id", *STATISTICS]),
            list(teachers.root),
            asked_of(rewards.schema),
            rewards.to_table(columns=["prompt_id"])["prompt_id"].to_pylist(),
        ),
        RouterScores(
            routed,
            _by_strategy(variant_scores, settings.routed(label.alpha)),
            _scores(held_out),
            cheap,
        ),
        settings,
        seed,
    )


def _scores(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    return {row["prompt_id"]: row["scores"] for row in rows}


def _by_strategy(variant_scores: pads.Dataset, names: Iterable[str]) -> dict[str, Scores]:
    found: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for row in variant_scores.to_table().to_pylist():
        if row["strategy"] in found:
            found[row["strategy"]][row["prompt_id"]] = row["scores"]
    return dict(found)
