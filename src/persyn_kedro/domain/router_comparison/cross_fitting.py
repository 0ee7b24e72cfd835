"""Every calibration prompt scored by routers that were not fitted on it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.rewards.reward import comparable, fitted_rewards, tell_apart
from persyn_kedro.domain.router_comparison.fitting import (
    Fit,
    Fitting,
    Prompts,
    fit_in_child,
    scores_of,
)
from persyn_kedro.domain.routers.registry import router_class
from persyn_kedro.domain.routers.saving import Readers, readers_of
from persyn_kedro.domain.stores.tables import RoutingStore
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import unit_draw
from persyn_kedro.foundations.settings.base import MAX_SEED
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.references import own_code_named
from persyn_kedro.foundations.settings.router_defaults import completed
from persyn_kedro.foundations.settings.routers import TrainRouterSettings, settings_of_kind
from persyn_kedro.foundations.tables import schemas

VERSION = 1  # raise it when the same inputs give another result

log = logging.getLogger(__name__)


class EqualRewards(PersynError):
    """Too few prompts: outside some fold all teachers' rewards are equal."""


def check_kinds(compare_routers: CompareRoutersSettings, train_router: TrainRouterSettings) -> None:
    """Refuse routers of the user's own that do not exist or are not routers, and a taken name.

    Raises:
        PersynError: names the first such.
    """
    own = train_router.kind
    named = compare_routers.routers.get(own)
    if named is not None and completed(named, train_router) != train_router:
        raise PersynError(
            f"compare_routers.routers.{own} is another router than train_router's, which is "
            "compared under the name of its kind: give it another name."
        )
    for router in compared(compare_routers, train_router).values():
        for kind in own_code_named(router):
            router_class(kind)


def compared(
    settings: CompareRoutersSettings, train_router: TrainRouterSettings
) -> dict[str, TrainRouterSettings]:
    """Return the routers to compare, by name; the constant is always compared, without a fit.

    The one that ``train_router`` trains is among them, named as its kind, even if a constant one:
    others read its scores.
    """
    named = {name: completed(r, train_router) for name, r in settings.routers.items()}
    if not named:
        given = train_router.model_dump()
        named = {kind: settings_of_kind(kind, given) for kind in settings.kinds}
    found = {**named, train_router.kind: train_router}
    own = train_router.kind
    return {name: r for name, r in found.items() if r.kind != "constant" or name == own}


def preference_routers(
    settings: CompareRoutersSettings, train_router: TrainRouterSettings
) -> list[str]:
    """Return the compared routers for which sigmoid(score_B - score_A) is P(B better than A).

    That is so for Bradley-Terry's loss alone: others weigh pairs by what they are worth, model ties
    besides, or predict rewards.
    """
    found = compared(settings, train_router).items()
    return [n for n, router in found if getattr(router, "loss_name", None) == "bradley_terry"]


def fold_of(prompt_id: str, folds: int, seed: int, repeat: int = 0) -> int:
    """Return a prompt's fold, which depends only on seed, repeat and prompt."""
    return int(unit_draw(seed, f"fold {repeat}" if repeat else "fold", prompt_id) * folds)


@dataclass(frozen=True)
class Plan:
    """A fit: which router, on what share of the prompts outside which fold of which repeat."""

    name: str
    size: float
    fold: int
    repeat: int


def cross_fit(
    prompts: Prompts,
    rewards: np.ndarray,
    settings: CompareRoutersSettings,
    train_router: TrainRouterSettings,
    models: Models,
    seed: int,
    store: RoutingStore,
    at_random: np.ndarray | None = None,
    fit: Fit = fit_in_child,
) -> pa.Table:
    """Return ``schemas.ROUTER_SCORES``: every router, size and repeat on every prompt.

    In each fold a router is fitted on a share (``size``) of the other folds' prompts; smaller
    shares are subsets of larger ones. All fits share one process, which embeds each prompt once for
    each model and way of reading it.

    Args:
        prompts: the calibration prompts' texts by prompt_id.
        rewards: (n, K) float64 in their order, NaN if invalid.
        at_random: (n, K) bool, or None (``rewards.asked_at_random``).
        fit: in which process.

    Raises:
        EqualRewards: all rewards are equal outside some fold.
    """
    routers = compared(settings, train_router)
    readers = {name: readers_of(models, router) for name, router in routers.items()}
    plans = [
        Plan(name, size, fold, repeat)
        for name in routers
        for size in sorted(settings.sizes)
        for repeat in range(settings.repeats)
        for fold in range(settings.folds)
    ]
    fittings = [
        _fitting(
            prompts, rewards, plan, settings.folds, routers[plan.name], readers, seed, at_random
        )
        for plan in plans
    ]
    kept = _usable(fittings, plans)
    found = scores_of([fittings[i] for i in kept], store, fit)
    rows = [
        {
            "kind": plans[i].name,
            "size": plans[i].size,
            "fitted_on": int(comparable(_fitted(fittings[i])).sum()),
            "fold": plans[i].fold,
            "prompt_id": prompt_id,
            "scores": scores[prompt_id],
            "repeat": plans[i].repeat,
        }
        for i, scores in zip(kept, found, strict=True)
        for prompt_id in fittings[i].scored
    ]
    return pa.Table.from_pylist(rows, schemas.ROUTER_SCORES)


def held_out_scores(table: pa.Table, kind: str, prompt_ids: Sequence[str]) -> np.ndarray:
    """Return the (n, K) scores of these prompts by routers fitted on all prompts of other folds.

    Args:
        table: ``schemas.ROUTER_SCORES``.
    """
    rows = table.filter((pc.field("kind") == kind) & (pc.field("size") == 1.0))
    places = pc.index_in(pa.array(prompt_ids, pa.string()), value_set=rows["prompt_id"])
    scores = rows["scores"].combine_chunks().take(places)
    return scores.flatten().to_numpy().reshape(len(prompt_ids), -1)


def _fitting(
    prompts: Prompts,
    rewards: np.ndarray,
    plan: Plan,
    folds: int,
    router: TrainRouterSettings,
    readers: Mapping[str, Readers],
    seed: int,
    at_random: np.ndarray | None,
) -> Fitting:
    ids, repeat = list(prompts), plan.repeat
    place = [fold_of(p, folds, seed, repeat) for p in ids]
    others = [i for i, fold in enumerate(place) if fold != plan.fold]
    curve = f"curve {repeat}" if repeat else "curve"
    drawn = sorted(others, key=lambda i: unit_draw(seed, curve, ids[i]))
    fitted = sorted(drawn[: max(1, round(plan.size * len(drawn)))])
    return Fitting(
        router,
        readers[plan.name],
        (seed + repeat) % MAX_SEED,
        {ids[i]: prompts[ids[i]] for i in fitted},
        rewards[fitted],
        {ids[i]: prompts[ids[i]] for i, fold in enumerate(place) if fold == plan.fold},
        None if at_random is None else at_random[fitted],
    )


def _usable(fittings: Sequence[Fitting], plans: Sequence[Plan]) -> list[int]:
    """Return the indices of the fittings to run: complete sizes, with rewards that differ.

    In a small set a fold may be empty: it has nothing to score.
    """
    too_small = {
        plans[i].size for i, f in enumerate(fittings) if f.scored and not tell_apart(_fitted(f))
    }
    if 1.0 in too_small:
        raise EqualRewards(
            "All teachers' rewards are equal outside one fold of the calibration prompts, so "
            "routers cannot be compared. Add calibration prompts."
        )
    for size in sorted(too_small):
        log.warning("Learning curve: left out %g of the prompts, where all rewards are equal", size)
    return [i for i, f in enumerate(fittings) if f.scored and plans[i].size not in too_small]


def _fitted(fitting: Fitting) -> np.ndarray:
    return fitted_rewards(fitting.rewards, fitting.settings.invalid)
