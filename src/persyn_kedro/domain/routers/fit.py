"""Fit a router in its own processes, and save it with the pool it was fitted for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from persyn_kedro.domain.rewards.reward import fitted_rewards, tell_apart
from persyn_kedro.domain.routers.jobs import fit_router_job
from persyn_kedro.domain.routers.saving import Readers
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.processes.together import train_together
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.routers import TrainRouterSettings


def fit_and_save(
    prompts: Sequence[Prompt],
    rewards: np.ndarray,
    settings: TrainRouterSettings,
    backbone: Readers,
    seed: int,
    pool: Sequence[dict[str, Any]],
    directory: Path,
    at_random: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """Fit a router, save it in ``directory`` and return its loss by epoch.

    Args:
        prompts: n of them.
        rewards: (n, K), NaN if invalid, K in the order of ``pool``.
        backbone: what reads prompts (``readers_of``).
        pool: ``teachers.recipe.pool_identity``.
        at_random: (n, K) bool, or None (``rewards.asked_at_random``).

    Raises:
        PersynError: all teachers have equal rewards on every prompt.
    """
    if not tell_apart(fitted_rewards(rewards, settings.invalid)):
        raise PersynError(
            "All teachers have equal rewards on every prompt that the router is fitted on, so it "
            "has nothing to learn. Change label.alpha, or add prompts on which they differ."
        )
    work = list(prompts), rewards, settings, backbone, seed, list(pool), directory, at_random
    label = f"training the {settings.kind} router"
    if settings.trains_a_model:
        shared = directory.parent
        curve = train_together(
            fit_router_job, *work, checkpoints=shared, sharded=False, label=label
        )
    else:
        curve = run_in_child(fit_router_job, *work, label=label)
    return list(curve)
