"""PerSyn at other alphas: rewards mixed again and a router for each, without new API calls."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts.select import ANSWERED, CALIBRATION, select_ids, select_texts
from persyn_kedro.domain.rewards.reward import (
    asked_at_random,
    comparable,
    compute_rewards,
    fitted_rewards,
    reward_matrix,
    tell_apart,
)
from persyn_kedro.domain.router_comparison.fitting import Fitting, Prompts, scores_of
from persyn_kedro.domain.routers.saving import Readers
from persyn_kedro.domain.routers.tasks import with_tasks
from persyn_kedro.domain.stores.tables import RoutingStore
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.tables import schemas

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labelled:
    """The calibration set's tables, from which rewards are computed anew."""

    responses: pa.Table
    statistics: pa.Table
    quality: pa.Table
    teachers: Sequence[str]
    label: LabelSettings

    def table_with(self, **changes: Any) -> pa.Table:
        """Return ``schemas.REWARDS`` with these changes to the settings."""
        settings = self.label.model_copy(update=changes)
        return compute_rewards(
            self.responses, self.statistics, self.quality, self.teachers, settings
        )

    def rewards_with(self, **changes: Any) -> tuple[list[str], np.ndarray]:
        """Return ``rewards.reward_matrix`` with them: prompt_ids, and (n, K) rewards."""
        return reward_matrix(self.table_with(**changes), self.teachers)


def score_at_alphas(
    alphas: Sequence[float],
    prompts: pads.Dataset,
    labelled: Labelled,
    train_router: TrainRouterSettings,
    backbone: Readers,
    seed: int,
    store: RoutingStore,
) -> pa.Table:
    """Return ``schemas.ALPHA_SCORES``; an alpha at which all rewards are equal is left out.

    Args:
        prompts: ``schemas.PROMPTS``; test prompts are not scored.
    """
    tasks = train_router.task_columns
    texts = with_tasks(dict(select_texts(prompts, ANSWERED)), prompts, tasks)
    fit = set(select_ids(prompts, CALIBRATION, ["fit"])["prompt_id"].to_pylist())
    at_random = asked_at_random(labelled.table_with(), labelled.teachers)
    fittings: dict[float, Fitting] = {}
    for alpha in alphas:
        prompt_ids, matrix = labelled.rewards_with(alpha=alpha)
        kept = [i for i, prompt_id in enumerate(prompt_ids) if prompt_id in fit]
        rewards = matrix[kept]
        seen = fitted_rewards(rewards, train_router.invalid)
        if not comparable(seen).any() or not tell_apart(seen):
            log.warning("At alpha = %g all teachers' rewards are equal: left out", alpha)
            continue
        fitted: Prompts = {prompt_ids[i]: texts[prompt_ids[i]] for i in kept}
        known = None if at_random is None else at_random[kept]
        fittings[alpha] = Fitting(train_router, backbone, seed, fitted, rewards, texts, known)
    found = scores_of(list(fittings.values()), store)
    scored = [
        {"alpha": alpha, "prompt_id": prompt_id, "scores": scores[prompt_id]}
        for alpha, scores in zip(fittings, found, strict=True)
        for prompt_id in texts
    ]
    return pa.Table.from_pylist(scored, schemas.ALPHA_SCORES)
