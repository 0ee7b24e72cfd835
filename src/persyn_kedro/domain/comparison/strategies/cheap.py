"""PerSyn for less: the routing at the cost weight that keeps most of its reward."""

from collections.abc import Mapping, Sequence

import numpy as np

from persyn_kedro.domain.cost_aware.expected import CostModel
from persyn_kedro.domain.router_comparison.frontier import Measured
from persyn_kedro.domain.routers.metrics import measurable, worth
from persyn_kedro.foundations.settings.route import CostUnit

Scores = Mapping[str, Sequence[float]]  # the router's, by prompt_id, in the pool's order


def cheap_scores(
    routed: Scores,
    held_out: Scores,
    rewards: tuple[Sequence[str], np.ndarray],
    costs: CostModel,
    sizes: Mapping[str, int],
    unit: CostUnit,
    share: float,
    answered: np.ndarray | None = None,
) -> dict[str, list[float]] | str:
    """Return the scores less the price of the answers, or why there are none.

    Calibration answers are there already: they have no price.

    Args:
        held_out: of calibration prompts, by routers that were not fitted on them.
        rewards: ``reward_matrix`` of the calibration prompts.
        sizes: bytes of the prompts by prompt_id.
        share: of the reward on the calibration prompts that is kept.
        answered: (n, K) bool, which teachers were asked the prompts of ``rewards``; None: all.
    """
    ids, matrix = rewards
    kept = [i for i in np.flatnonzero(measurable(matrix)).tolist() if ids[i] in held_out]
    if not kept:
        return "no calibration prompt has two valid teachers"
    measured = Measured(
        np.array([held_out[ids[i]] for i in kept]),
        worth(matrix[kept]),
        costs.cost(np.array([sizes[ids[i]] for i in kept]), unit),
        {},
    )
    weight = measured.cheap_weight(share)
    if not weight:
        return "no cost weight keeps this share of the reward (compare.kept_reward) for less"
    names = list(routed)
    price = costs.cost(np.array([sizes[name] for name in names]), unit) * weight / measured.scale
    free = dict.fromkeys(held_out, np.ones(matrix.shape[1], bool))
    if answered is not None:
        free |= dict(zip(ids, answered, strict=True))
    for place, name in enumerate(names):
        if name in free:
            price[place, free[name]] = 0
    scores = np.array([routed[name] for name in names], np.float32) - price
    return dict(zip(names, scores.tolist(), strict=True))
