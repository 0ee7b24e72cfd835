"""The uncertainty of a language-model router's head, given the states that it reads."""

import numpy as np

from persyn_kedro.domain.routers.losses import Loss
from persyn_kedro.domain.routers.network import Layers, Network, without_groups
from persyn_kedro.domain.routers.space import Space
from persyn_kedro.foundations.settings.router_keys import EmbeddingSettings


def heads_without_groups(points: np.ndarray, rewards: np.ndarray, loss: Loss) -> Layers | None:
    """Return heads fitted without a group of the prompts each; None for a single prompt.

    Args:
        points: the (n, hidden) states of the fitted prompts.
        rewards: (n, K), NaN if invalid.
    """
    space = Space.fit(points, EmbeddingSettings())
    scaled = space.scaled(points)
    _, again = Network(loss).solve(scaled, rewards)
    found = without_groups(scaled, rewards, again)
    if not found:
        return None
    ((weights, biases),) = found
    weights = weights / space.scale
    return [(weights, biases - weights @ space.mean)]
