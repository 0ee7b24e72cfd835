"""The compared routers' results, as one JSON-able value."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.rewards.reward import comparable
from persyn_kedro.domain.router_comparison.compare import (
    CONSTANT,
    Bootstrap,
    constant_scores,
    losses_of,
    mean_with_interval,
    measure_scores,
    pair_calibration,
)
from persyn_kedro.domain.router_comparison.more_calibration import (
    Spent,
    doubling_words,
    saving_of_doubling,
)
from persyn_kedro.domain.routers.metrics import measurable
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings

VERSION = 3  # of compare.py too: raise it when the same inputs give another result


def summarise_routers(
    scores: pa.Table,
    prompt_ids: Sequence[str],
    rewards: np.ndarray,
    settings: CompareRoutersSettings,
    seed: int,
    spent: Spent | None = None,
    preferences: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the comparison of the routers fitted on all prompts of the other folds.

    Args:
        scores: rows of ``schemas.ROUTER_SCORES``.
        rewards: (n, K) float64 in the order of ``prompt_ids``, NaN if invalid.
        spent: by calibration; with it the verdicts say whether more would pay.
        preferences: ``preference_routers``, of which the first one's calibration is measured.

    Returns:
        dict: ``{"n", "teachers", "folds", "routers": {name: figures of measure_scores}, "curve":
        [{"kind", "size", "fitted_on", **figures}], "calibration": bins of
        ``pair_calibration``, "calibrated": the name of their router, "verdicts":
        [sentence]}``. Without a prompt with two valid teachers, n is 0 and the rest is empty.
    """
    rows = scores.to_pylist()
    folds = {(row["repeat"] or 0, row["prompt_id"]): row["fold"] for row in rows}
    repeats = sorted({repeat for repeat, _ in folds})
    there = np.array([(0, p) in folds for p in prompt_ids], bool)
    kept = np.flatnonzero(measurable(rewards) & there).tolist()
    kept = kept if comparable(rewards[kept]).any() else []
    ids, matrix = [prompt_ids[i] for i in kept], rewards[kept]
    summary: dict[str, Any] = {
        "n": len(ids),
        "teachers": rewards.shape[1],
        "folds": len(set(folds.values())),
        "confidence": settings.confidence,
        **({"repeats": len(repeats)} if len(repeats) > 1 else {}),
    }
    if not ids:
        return {**summary, "routers": {}, "curve": [], "calibration": [], "verdicts": [_NOTHING]}
    bootstrap = Bootstrap(settings.resamples, settings.confidence, seed)
    constant = constant_scores(matrix, np.array([[folds[r, p] for p in ids] for r in repeats]))
    by_plan = _by_plan(rows, ids, len(repeats))
    kinds = list(dict.fromkeys(kind for kind, _ in by_plan))
    whole = {kind: by_plan[kind, 1.0] for kind in kinds}
    calibrated = next((name for name in preferences if name in whole), None)
    figures = measure_scores({**whole, CONSTANT: constant}, matrix, bootstrap)
    return {
        **summary,
        "routers": figures,
        "curve": _curve(by_plan, rows, constant, matrix, bootstrap),
        "calibration": pair_calibration(whole[calibrated], matrix) if calibrated else [],
        "calibrated": calibrated,
        "verdicts": [
            *(_verdict(kind, figures[kind]) for kind in kinds),
            *_doublings(by_plan, rows, matrix, bootstrap, spent),
        ],
    }


_NOTHING = "No calibration prompt has two valid teachers, so routers cannot be compared."


def _by_plan(
    rows: Sequence[Mapping[str, Any]], ids: Sequence[str], repeats: int
) -> dict[tuple[str, float], np.ndarray]:
    """Return the (repeats, n, K) scores of each kind and size."""
    place = {prompt_id: i for i, prompt_id in enumerate(ids)}
    found: dict[tuple[str, float], np.ndarray] = {}
    for row in rows:
        if row["prompt_id"] in place and row["kind"] != CONSTANT:  # it is computed, not fitted
            plan = row["kind"], row["size"]
            empty = np.full((repeats, len(ids), len(row["scores"])), np.nan)
            found.setdefault(plan, empty)[row["repeat"] or 0, place[row["prompt_id"]]] = row[
                "scores"
            ]
    return found


def _curve(
    by_plan: Mapping[tuple[str, float], np.ndarray],
    rows: Sequence[Mapping[str, Any]],
    constant: np.ndarray,
    rewards: np.ndarray,
    bootstrap: Bootstrap,
) -> list[dict[str, Any]]:
    return [
        {
            "kind": kind,
            "size": size,
            "fitted_on": _fitted_on(rows, kind, size),
            **measure_scores({kind: scores, CONSTANT: constant}, rewards, bootstrap, False)[kind],
        }
        for (kind, size), scores in by_plan.items()
    ]


def _doublings(
    by_plan: Mapping[tuple[str, float], np.ndarray],
    rows: Sequence[Mapping[str, Any]],
    rewards: np.ndarray,
    bootstrap: Bootstrap,
    spent: Spent | None,
) -> list[str]:
    """Say of each router with several sizes what twice the calibration would save."""
    told = []
    for kind in dict.fromkeys(kind for kind, _ in by_plan) if spent else ():
        sizes = sorted(size for own, size in by_plan if own == kind)
        losses = np.stack([losses_of(by_plan[kind, size], rewards) for size in sizes], axis=1)
        saving = saving_of_doubling(losses, [_fitted_on(rows, kind, size) for size in sizes])
        if saving is not None and spent is not None:
            told.append(doubling_words(kind, mean_with_interval(saving, bootstrap), spent))
    return told


def _fitted_on(rows: Sequence[Mapping[str, Any]], kind: str, size: float) -> float:
    """Return the mean number of prompts over the folds."""
    own = {
        (r["repeat"] or 0, r["fold"]): r["fitted_on"]
        for r in rows
        if (r["kind"], r["size"]) == (kind, size)
    }
    return float(np.mean(list(own.values())))


def _verdict(kind: str, figures: Mapping[str, Any]) -> str:
    """Say plainly whether a router is better than the constant teacher."""
    difference = figures["regret_to_constant"]
    low, high = difference["interval"]
    told = f"{difference['value']:+.3f} [{low:+.3f}, {high:+.3f}]"
    name = kind.replace("_", "-")
    if high < 0:
        return f"The {name} router is better than always choosing the best teacher: regret {told}."
    if low > 0:
        return f"The {name} router is worse than always choosing the best teacher: regret {told}."
    return (
        f"The {name} router is not shown to be better than always choosing the best teacher: "
        f"regret {told}."
    )
