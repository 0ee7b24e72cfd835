"""Choose teachers by score and cost, within limits: METHOD.md, section 3, "Costs" and "Limits"."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from persyn_kedro.domain.cost_aware.asked import Asked
from persyn_kedro.domain.cost_aware.expected import PRICES, CostModel
from persyn_kedro.domain.cost_aware.problem import Problem
from persyn_kedro.domain.cost_aware.transport import best_assignment
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.route import RouteSettings

VERSION = 1  # of transport.py too: raise it when the same inputs give another result

_UNITS = {"max_tokens": "tokens", "max_cost": "money"}


def weigh(
    scores: np.ndarray, asked: Asked, costs: CostModel, scale: float | None, settings: RouteSettings
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return scores less the price of the answers, and how they came about.

    Args:
        scores: (n, K) float32, the router's.
        scale: ``reward_scale``; only a cost weight needs it.

    Returns:
        tuple: (n, K) float32 in the scores' unit, of which the highest is the choice (where a limit
        decides between equals, the choice's is raised); and a JSON-able note.

    Raises:
        PersynError: the limits cannot be kept, or the scores say nothing of the rewards.
    """
    names, weight = list(costs.teachers), settings.objective.cost_weight
    prices = dict.fromkeys(_UNITS.values(), 0.0)
    if weight:
        prices[settings.objective.cost] = weight / check_scale(scale)
    worth = scores.astype(np.float32) - _priced(asked, costs, prices)
    places = np.zeros(len(names))
    chosen, gap = worth.argmax(axis=1), 0.0
    if settings.limited:
        found = best_assignment(_problem(worth, asked, costs, settings))
        if found is None:
            raise PersynError(_refusal(asked, costs, settings))
        limits = [u for key, u in _UNITS.items() if getattr(settings.budget, key) is not None]
        for unit, price in zip(limits, found.use_prices, strict=True):
            prices[unit] += float(price)
        places, gap = found.places, max(0.0, found.bound - found.value)
        worth = scores.astype(np.float32) - _priced(asked, costs, prices) - np.float32(places)
        chosen = worth.argmax(axis=1)
        chosen[asked.counted] = found.choices
        _raise_chosen(worth, chosen)
    note = {
        "objective": settings.objective.model_dump(mode="json"),
        "budget": settings.budget.model_dump(mode="json"),
        "capacity": dict(settings.capacity),
        "scale": scale,
        "gap": gap,  # in sum, to a bound on what any choice within the limits is worth
        "per_token": {n: {p: one[p] for p in PRICES} for n, one in costs.teachers.items()},
        "answers": asked.answers,
        "known": asked.known.tolist(),
        "prices": prices,
        "places": dict(zip(names, places.tolist(), strict=True)),
        **_outcome(scores, chosen, asked, costs),
    }
    return worth, note


def check_scale(scale: float | None) -> float:
    """Return the scale of the scores.

    Raises:
        PersynError: it is not positive.
    """
    if scale is None or not scale > 0:
        raise PersynError(
            "The router's scores do not rise with the rewards of calibration prompts that it was "
            "not fitted on, so route.objective.cost_weight cannot be weighed against them: train a "
            "better router, or set route.budget instead."
        )
    return scale


def price_of(
    note: Mapping[str, Any],
    costs: CostModel,
    size: int,
    calibration: bool,
    unasked: Sequence[bool] | None = None,
) -> np.ndarray:
    """Return (K,) what ``weigh`` took off the scores of a prompt of ``size`` bytes, by its note.

    ``unasked``: (K,) of a calibration prompt, as in ``Asked``.
    """
    yes, known = np.ones(1, bool), np.array(note["known"])
    lacking = np.array([unasked]) if calibration and unasked is not None else None
    one = Asked(np.array([size]), yes, yes & calibration, note["answers"], known, lacking)
    return _priced(one, costs, note["prices"])[0] + np.array(list(note["places"].values()))


def _raise_chosen(worth: np.ndarray, chosen: np.ndarray) -> None:
    """Make the choices the best, in place, for the few prompts at which limits break ties."""
    rows = np.flatnonzero(worth.argmax(axis=1) != chosen)
    worth[rows, chosen[rows]] = np.nextafter(worth[rows].max(axis=1), np.float32(np.inf))


def _priced(asked: Asked, costs: CostModel, prices: Mapping[str, float]) -> np.ndarray:
    """Return (n, K) float32 the price of the answers."""
    total = np.zeros(asked.lacking.shape, np.float32)
    for unit in _UNITS.values():
        if prices[unit]:
            total += np.float32(prices[unit]) * asked.lacking * costs.cost(asked.sizes, unit)  # type: ignore[arg-type]
    return total


def _problem(worth: np.ndarray, asked: Asked, costs: CostModel, settings: RouteSettings) -> Problem:
    own = asked.counted
    limits = {u: getattr(settings.budget, key) for key, u in _UNITS.items()}
    limits = {unit: limit for unit, limit in limits.items() if limit is not None}
    uses = [asked.lacking[own] * costs.cost(asked.sizes[own], unit) for unit in limits]  # type: ignore[arg-type]
    count = int(own.sum())
    shares = [settings.capacity.get(name, np.inf) for name in costs.teachers]
    most = np.array([np.floor(s * count + 1e-6) if s < 1 else np.inf for s in shares])
    short = count - most.sum()
    if 0 < short <= len(most):  # shares that add up to 1 leave out a prompt by rounding down
        most[np.argsort(-np.where(np.isfinite(most), most, -1), kind="stable")[: int(short)]] += 1
    return Problem(worth[own], uses, [float(limit) for limit in limits.values()], most)


def _refusal(asked: Asked, costs: CostModel, settings: RouteSettings) -> str:
    """Return why the limits cannot be kept: the budget is below the cheapest assignment."""
    capacity = " within route.capacity" if settings.capacity else ""
    for key, unit in _UNITS.items():
        limit = getattr(settings.budget, key)
        if limit is None:
            continue
        alone = settings.model_copy(update={"budget": type(settings.budget)()})
        use = asked.lacking * costs.cost(asked.sizes, unit)  # type: ignore[arg-type]
        cheapest = best_assignment(_problem(-use, asked, costs, alone))
        if cheapest is None:
            break
        least = _sum(use[asked.counted], cheapest.choices)
        if least > limit:
            return (
                f"route.budget.{key} is {limit:g}, but the cheapest teachers' answers to the "
                f"routed prompts{capacity} are expected to take {least:.6g}: raise it to that or "
                "more, or route fewer prompts."
            )
    return (
        "No choice of teachers keeps all limits of route.budget and route.capacity: raise one of "
        "them."
    )


def _outcome(
    scores: np.ndarray, chosen: np.ndarray, asked: Asked, costs: CostModel
) -> dict[str, Any]:
    """Return what the choices and those by score alone are expected to take, and the difference."""
    own, alone = asked.counted, scores.argmax(axis=1)
    found: dict[str, Any] = {"prompts": int(own.sum())}
    for name, choices in (("expected", chosen), ("by_score_alone", alone)):
        found[name] = {
            unit: _sum((asked.lacking * costs.cost(asked.sizes, unit))[own], choices[own])  # type: ignore[arg-type]
            for unit in _UNITS.values()
        }
    found["moved"] = int((chosen != alone)[own].sum())
    given = [np.take_along_axis(scores[own], c[own, None], 1) for c in (alone, chosen)]
    lost = (given[0] - given[1]).astype(np.float64)
    found["score_lost"] = float(lost.mean()) if len(lost) else 0.0
    return found


def _sum(use: np.ndarray, choices: Sequence[int] | np.ndarray) -> float:
    chosen = np.take_along_axis(use, np.asarray(choices)[:, None].astype(int), 1)
    return float(chosen.sum(dtype=np.float64))
