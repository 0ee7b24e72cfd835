"""The trained router's learning curve: would more calibration pay?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.rewards.reward import asked_at_random, fair_matrix, reward_matrix
from persyn_kedro.domain.router_comparison.cross_fitting import EqualRewards, cross_fit
from persyn_kedro.domain.router_comparison.fitting import Fit, Prompts, fit_in_child
from persyn_kedro.domain.router_comparison.more_calibration import calibration_spent
from persyn_kedro.domain.router_comparison.summary import summarise_routers
from persyn_kedro.domain.routers.saving import read_description, selection_of, settings_in
from persyn_kedro.domain.routers.selection import CONSTANT
from persyn_kedro.domain.stores.tables import RoutingStore
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.routers import AutoRouterSettings, TrainRouterSettings
from persyn_kedro.foundations.settings.spending import Prices

FOLDS, SIZES = 5, [0.25, 0.5, 1.0]
_QUICK = {"knn", "linear", "mlp", "task_type", "ensemble"}  # seconds to fit, once embedded


def own_learning(
    directory: Path,
    prompts: Prompts,
    rewards: pa.Table,
    responses: pa.Table,
    prices: Mapping[str, Prices],
    models: Models,
    seed: int,
    store: RoutingStore,
    fit: Fit = fit_in_child,
) -> dict[str, Any] | None:
    """Return the regret by the number of prompts fitted on, and what twice the prompts would save.

    Routers like the trained one are fitted on shares of the calibration set and measured outside.

    Args:
        directory: the trained router's.
        prompts: all calibration prompts, with the columns of their tasks that it reads.
        rewards: ``schemas.REWARDS``.
        responses: ``schemas.RESPONSES`` of calibration.
        prices: by teacher, in the pool's order.
        fit: in which process.

    Returns:
        dict: ``kind``; ``curve``, by size ``fitted_on`` and ``regret`` with its interval;
        ``doubling``, a sentence. None for a router that trains a language model, which would take
        hours (``compare_routers`` does it when asked), for a constant or the user's own, and where
        rewards do not tell teachers apart.
    """
    router = _measured(directory)
    if router is None:
        return None
    settings = CompareRoutersSettings(kinds=[router.kind], folds=FOLDS, sizes=SIZES)
    names = list(prices)
    ids, matrix = reward_matrix(rewards, names)
    asked = {prompt_id: prompts[prompt_id] for prompt_id in ids}
    try:
        scored = cross_fit(
            asked,
            matrix,
            settings,
            router,
            models,
            seed,
            store,
            asked_at_random(rewards, names),
            fit,
        )
    except EqualRewards:
        return None
    spent = calibration_spent(responses, prices)
    found = summarise_routers(scored, *fair_matrix(rewards, names), settings, seed, spent)
    if len({each["fitted_on"] for each in found["curve"]}) < 2:
        return None
    curve = [{key: each[key] for key in ("fitted_on", "regret")} for each in found["curve"]]
    return {"kind": router.kind, "curve": curve, "doubling": found["verdicts"][-1]}


def _measured(directory: Path) -> TrainRouterSettings | None:
    """Return the router to fit anew: the one that routes, or the best that lost to the constant."""
    router: TrainRouterSettings | None = settings_in(read_description(directory))
    if isinstance(router, AutoRouterSettings):
        selection = selection_of(directory) or {"chosen": CONSTANT, "candidates": {}}
        regrets = {n: f["regret"]["value"] for n, f in selection["candidates"].items()}
        regrets.pop(CONSTANT, None)
        best = min(regrets, key=regrets.__getitem__, default=CONSTANT)
        router = router.named[best if selection["chosen"] == CONSTANT else selection["chosen"]]
    parts = [] if router is None else router.parts or [router]
    return router if {part.kind for part in parts} <= _QUICK else None
