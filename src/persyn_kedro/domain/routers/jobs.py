"""The routers' work as module-level generators, for ``foundations.processes.child``."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from persyn_kedro.domain.routers import embeddings, registry
from persyn_kedro.domain.routers.nearest import Nearest, nearest
from persyn_kedro.domain.routers.registry import load_router, router_class, save_router
from persyn_kedro.domain.routers.saving import Readers, read_description
from persyn_kedro.domain.routers.scored import Scored
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes.group import group
from persyn_kedro.foundations.progress import watching
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.storage.mirror import copy_here, not_here


def fit_router_job(
    prompts: list[Prompt],
    rewards: np.ndarray,
    settings: TrainRouterSettings,
    backbone: Readers,
    seed: int,
    pool: list[dict[str, Any]],
    directory: Path,
    at_random: np.ndarray | None = None,
) -> Iterator[dict[str, float]]:
    """Fit a router on (n, K) rewards, NaN if invalid; yield each epoch's loss, then save it.

    A language model is trained by all ranks of a group (``foundations.processes.group``).

    Raises:
        PersynError: the rewards' columns do not match the pool, or no fit is possible.
    """
    if rewards.shape != (len(prompts), len(pool)):
        raise PersynError(
            f"Rewards of shape {rewards.shape} do not match {len(prompts)} prompts "
            f"and {len(pool)} teachers."
        )
    router = router_class(settings.kind)(backbone, settings, seed)
    router.at_random = at_random
    router.workspace, router.version = directory.parent, registry.VERSION
    yield from router.fit_epochs(prompts, rewards)
    if group().rank == 0:
        save_router(router, directory, pool)


def score_prompts_job(
    prompts: Sequence[Prompt], directory: Path, pool: list[dict[str, Any]], batch_size: int
) -> Iterator[np.ndarray]:
    """Yield (b, K) float32 scores of ``batch_size`` prompts at a time, in prompt order.

    Raises:
        PersynError: the router is missing, or was fitted for another pool.
    """
    with watching("scoring prompts", len(prompts), "prompts") as watch:
        for found in prompt_scorer(directory, pool, batch_size)(prompts):
            watch.advance(len(found.scores))
            yield found.scores


def prompt_scorer(
    directory: Path, pool: list[dict[str, Any]], batch_size: int
) -> Callable[[Sequence[Prompt]], Iterator[Scored]]:
    """Load the router; return a function that yields batches of scores and standard errors.

    Raises:
        PersynError: the router is missing, or was fitted for another pool.
    """
    directory = copy_here(directory)
    if not directory.exists():
        raise not_here(directory)
    router = load_router(directory, pool)
    embeddings.keep_loaded()

    def score(prompts: Sequence[Prompt]) -> Iterator[Scored]:
        return router.scored_batches(prompts, batch_size)

    return score


def read_prompt_job(
    prompt: Prompt, fitted: Sequence[Prompt], directory: Path, count: int
) -> Iterator[tuple[Scored, Nearest | None]]:
    """Yield a prompt's scores, (1, K) float32, and the ``count`` nearest prompts (None for 0).

    ``fitted`` are the prompts that the router was fitted on, in order. The router is loaded for the
    pool that it was fitted for, whatever the settings are now: its own reasons are wanted.

    Raises:
        PersynError: the router is missing or incomplete.
    """
    with embeddings.remembered():  # the backbone is loaded once
        pool = read_description(directory)["teachers"]
        router = load_router(directory, pool)
        near = None
        if count:
            points = router.points([prompt])[0], router.fitted_points(fitted)
            near = nearest(*points, count, router.embedding)
        (found,) = router.scored_batches([prompt], 1)
        yield found, near
