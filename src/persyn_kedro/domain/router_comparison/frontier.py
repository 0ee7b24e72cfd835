"""Expected reward against cost, before anything is paid: METHOD.md, section 3, "The frontier"."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.cost_aware.expected import reward_scale
from persyn_kedro.domain.intervals.bootstrap import mean_over_prompts
from persyn_kedro.domain.rewards.reward import TIE
from persyn_kedro.domain.router_comparison.compare import ORACLE, RANDOM
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings
from persyn_kedro.foundations.settings.route import CostUnit
from persyn_kedro.foundations.tables import schemas

VERSION = 2  # raise it when the same inputs give another result

POINTS = 16  # cost weights, besides 0
FOLDS = 10  # of the prompts, to measure a weight on others than it was chosen on
ROUTER, TEACHER, NESTED = "router", "teacher", "nested"


@dataclass(frozen=True)
class Measured:
    """What n calibration prompts tell of routing by cost (those that are ``routers.measurable``).

    Attributes:
        scores: (n, K), by routers that were not fitted on the prompt.
        rewards: (n, K) float64, as choices are judged by (``routers.worth``).
        expected: (n, K) costs that routing would expect.
        used: by ``tokens``, ``completion_tokens`` and ``cost``, the (n, K) actual amounts.
        complete: whether every teacher was asked every prompt. Otherwise ``rewards`` are unbiased
            estimates, whose maximum is not that of the rewards: there is no oracle.
    """

    scores: np.ndarray
    rewards: np.ndarray
    expected: np.ndarray
    used: Mapping[str, np.ndarray]
    complete: bool = True

    @cached_property
    def scale(self) -> float:
        """The slope of the reward on the score."""
        return reward_scale(self.scores, self.rewards)

    def of(self, prompts: np.ndarray) -> "Measured":
        """Return what (n,) bool of the prompts tell."""
        used = {name: values[prompts] for name, values in self.used.items()}
        own = (self.scores[prompts], self.rewards[prompts], self.expected[prompts])
        return Measured(*own, used, self.complete)

    def chosen(self, weight: float, scale: float | None = None) -> np.ndarray:
        """Return the (n,) teachers that routing with this cost weight chooses.

        Args:
            scale: of other prompts; None: of these.
        """
        if not weight:
            return self.scores.argmax(axis=1)
        scale = self.scale if scale is None else scale
        return (self.scores * scale - weight * self.expected).argmax(axis=1)

    def weights(self, count: int) -> list[float]:
        """Return cost weights of two digits, from 0 to one at which every prompt gets the cheapest.

        Between them about as many prompts change their teacher. Only 0 if the scores do not rise
        with the rewards.
        """
        if self.scale <= 0 or not len(self.scores):
            return [0.0]
        worth = self.scores * self.scale
        first = _slopes(worth, self.expected, self.scores.argmax(axis=1))
        last = _slopes(worth, self.expected, self.expected.argmin(axis=1))
        changes = np.array(
            [
                *np.where(first > 0, first, np.inf).min(axis=1),  # to the first cheaper one
                *np.where(last > 0, last, -np.inf).max(axis=1),  # to the cheapest
            ]
        )
        changes = changes[np.isfinite(changes)]
        if not len(changes):
            return [0.0]
        found = {_two_digits(w) for w in np.quantile(changes, np.linspace(0, 1, count)[:-1])}
        return [0.0, *sorted(found | {_two_digits(1.1 * changes.max())})]

    def cheap_weight(self, share: float) -> float:
        """Return the largest weight, so the cheapest, that keeps this share of the routed reward.

        Expected costs fall with the weight. The reward does not fall steadily: a smaller weight may
        happen to keep less.
        """
        least = share * self._reward(0.0)
        kept = (w for w in self.weights(8 * POINTS) if w and self._reward(w) >= least)
        return max(kept, default=0.0)

    def nested_choices(self, share: float, seed: int) -> np.ndarray:
        """Return the (n,) teachers chosen at the weight that the prompts of other folds mark.

        The best of many weights looks better than it is on the prompts that it was chosen on.
        """
        place = np.random.default_rng(seed).permutation(len(self.rewards)) % FOLDS
        found = np.zeros(len(place), int)
        for fold in range(FOLDS):
            own, others = self.of(place == fold), self.of(place != fold)
            found[place == fold] = own.chosen(others.cheap_weight(share), others.scale)
        return found

    def _reward(self, weight: float) -> float:
        return float(_pick(self.rewards, self.chosen(weight)).mean())


def _slopes(worth: np.ndarray, cost: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return (n, K) the cost weights at which each teacher equals the one in (n,) ``places``."""
    more, dearer = (a - np.take_along_axis(a, places[:, None], 1) for a in (worth, cost))
    return np.divide(more, dearer, out=np.zeros(more.shape), where=dearer != 0)


def _two_digits(value: float) -> float:
    return float(f"{value:.1e}")


def _pick(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, chosen[:, None], axis=1)[:, 0]


def trace_frontier(
    measured: Measured,
    teachers: Sequence[str],
    unit: CostUnit,
    share: float,
    settings: CompareRoutersSettings,
    seed: int,
) -> pa.Table:
    """Return ``schemas.FRONTIER``: the router's choices by cost weight, and what to compare with.

    The oracle knows the rewards and weighs them against the same costs: no router can be above it.

    Args:
        share: of the reward at cost weight 0; ``kept`` marks the cheapest weight that keeps it.
            Of ``FOLDS`` or more prompts, the policy ``NESTED`` is what such a weight gives on
            prompts that it was not chosen on.
    """
    if not len(measured.rewards):
        return pa.Table.from_pylist([], schemas.FRONTIER)
    kept = measured.cheap_weight(share)
    weights = sorted({*measured.weights(POINTS), kept})
    reference = _pick(measured.rewards, measured.chosen(0.0))
    found = []
    for policy, name, weight, shares in _policies(measured, weights, teachers, share, seed):
        rewards = (shares * measured.rewards).sum(axis=1)
        row = {
            "policy": policy,
            "name": name,
            "cost_weight": weight,
            "prompts": len(rewards),
            "kept": policy == ROUTER and weight == kept,
            "setting": _setting(weight, unit) if policy == ROUTER else None,
        }
        amounts = {"reward": rewards, "reward_lost": reference - rewards}
        amounts |= {key: (shares * values).sum(axis=1) for key, values in measured.used.items()}
        for key, values in amounts.items():
            mean = mean_over_prompts(values, settings.resamples, settings.confidence, seed)
            if mean is not None:
                row |= {key: mean.value, f"{key}_low": mean.low, f"{key}_high": mean.high}
        found.append(row)
    return pa.Table.from_pylist(found, schemas.FRONTIER)


def _policies(
    measured: Measured, weights: Sequence[float], teachers: Sequence[str], share: float, seed: int
) -> Iterator[tuple[str, str, float | None, np.ndarray]]:
    """Yield kind, name and cost weight of each policy, and the (n, K) shares of its choices."""
    one, shape = np.eye(len(teachers)), measured.rewards.shape
    for weight in weights:
        yield ROUTER, ROUTER, weight, one[measured.chosen(weight)]
    if len(measured.rewards) >= FOLDS:
        yield NESTED, "(*) on other prompts", None, one[measured.nested_choices(share, seed)]
    for weight in weights if measured.complete else ():
        worth = measured.rewards - weight * measured.expected
        tied = worth >= worth.max(axis=1, keepdims=True) - TIE
        cheapest = np.where(tied, measured.expected, np.inf).argmin(axis=1)
        yield ORACLE, ORACLE, weight, one[cheapest]
    for k, name in enumerate(teachers):
        yield TEACHER, name, None, np.broadcast_to(one[k], shape)
    yield RANDOM, RANDOM, None, np.full(shape, 1 / len(teachers))


def _setting(weight: float | None, unit: CostUnit) -> str:
    """Return the settings that give a point."""
    return f"route.objective: {{cost_weight: {weight:g}, cost: {unit}}}"
