"""Every calibration prompt scored by routers that were not fitted on it."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.rewards.reward import comparable, fitted_rewards, tell_apart
from persyn_kedro.domain.router_comparison.fitting import Fitting, Prompts, scores_of
from persyn_kedro.domain.routers.registry import router_class
from persyn_kedro.domain.stores.tables import RoutingStore
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import unit_draw
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings
from persyn_kedro.foundations.settings.references import own_code_named
from persyn_kedro.foundations.settings.routers import TrainRouterSettings, settings_of_kind
from persyn_kedro.foundations.tables import schemas

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

VERSION = 1  # raise it when the same inputs give another result

log = logging.getLogger(__name__)


def check_kinds(compare_routers: CompareRoutersSettings) -> None:
    """Refuse routers of the user's own that do not exist or are not routers.

    Raises:
        PersynError: names the first such.
    """
    for kind in own_code_named(compare_routers):
        router_class(kind)


def fold_of(prompt_id: str, folds: int, seed: int) -> int:
    """Return a prompt's fold, which depends only on seed and prompt."""
    return int(unit_draw(seed, "fold", prompt_id) * folds)


def cross_fit(
    prompts: Prompts,
    rewards: np.ndarray,
    settings: CompareRoutersSettings,
    train_router: TrainRouterSettings,
    backbone: "ResolvedModel",
    seed: int,
    store: RoutingStore,
) -> pa.Table:
    """Return ``schemas.ROUTER_SCORES``: every kind and size of router on every prompt.

    In each fold a router is fitted on a share (``size``) of the other folds' prompts; smaller
    shares are subsets of larger ones.

    Args:
        prompts: the calibration prompts' texts by prompt_id.
        rewards: (n, K) float64 in their order, NaN if invalid.

    Raises:
        PersynError: all rewards are equal outside some fold.
    """
    plans = [
        (kind, size, fold)
        for kind in dict.fromkeys([*settings.kinds, train_router.kind])
        for size in sorted(settings.sizes)
        for fold in range(settings.folds)
    ]
    fittings = [
        _fitting(prompts, rewards, plan, settings.folds, train_router, backbone, seed)
        for plan in plans
    ]
    kept = _usable(fittings, plans)
    found = scores_of([fittings[i] for i in kept], store)
    rows = [
        {
            "kind": plans[i][0],
            "size": plans[i][1],
            "fitted_on": int(comparable(_fitted(fittings[i])).sum()),
            "fold": plans[i][2],
            "prompt_id": prompt_id,
            "scores": scores[prompt_id],
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
    plan: tuple[str, float, int],
    folds: int,
    train_router: TrainRouterSettings,
    backbone: "ResolvedModel",
    seed: int,
) -> Fitting:
    kind, size, fold = plan
    ids = list(prompts)
    others = [i for i, p in enumerate(ids) if fold_of(p, folds, seed) != fold]
    drawn = sorted(others, key=lambda i: unit_draw(seed, "curve", ids[i]))
    fitted = sorted(drawn[: max(1, round(size * len(drawn)))])
    return Fitting(
        settings_of_kind(kind, train_router.model_dump()),
        backbone,
        seed,
        {ids[i]: prompts[ids[i]] for i in fitted},
        rewards[fitted],
        {p: text for p, text in prompts.items() if fold_of(p, folds, seed) == fold},
    )


def _usable(fittings: Sequence[Fitting], plans: Sequence[tuple[str, float, int]]) -> list[int]:
    """Return the indices of the fittings to run: complete sizes, with rewards that differ.

    In a small set a fold may be empty: it has nothing to score.
    """
    too_small = {
        plans[i][1] for i, f in enumerate(fittings) if f.scored and not tell_apart(_fitted(f))
    }
    if 1.0 in too_small:
        raise PersynError(
            "All teachers' rewards are equal outside one fold of the calibration prompts, so "
            "routers cannot be compared. Add calibration prompts."
        )
    for size in sorted(too_small):
        log.warning("Learning curve: left out %g of the prompts, where all rewards are equal", size)
    return [i for i, f in enumerate(fittings) if f.scored and plans[i][1] not in too_small]


def _fitted(fitting: Fitting) -> np.ndarray:
    return fitted_rewards(fitting.rewards, fitting.settings.invalid)
