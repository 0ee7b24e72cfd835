"""The router that ``train_router`` trains, on prompts that it was not fitted on."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.cost_aware.expected import reward_scale
from persyn_kedro.domain.prompts.select import find_texts
from persyn_kedro.domain.rewards.reward import asked_at_random, fair_matrix, reward_matrix
from persyn_kedro.domain.router_comparison.cross_fitting import cross_fit, held_out_scores
from persyn_kedro.domain.routers.metrics import measurable, worth
from persyn_kedro.domain.routers.tasks import with_tasks
from persyn_kedro.domain.stores.tables import RoutingStore
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.routers import TrainRouterSettings


def cross_fit_own(
    rewards: pa.Table,
    source_prompts: pads.Dataset,
    teachers: Sequence[str],
    settings: CompareRoutersSettings,
    train_router: TrainRouterSettings,
    models: Models,
    seed: int,
    store: RoutingStore,
) -> pa.Table:
    """As ``cross_fit``, of this router alone, fitted on all prompts of the other folds.

    What ``compare_routers`` has fitted already is not fitted again.

    Args:
        rewards: ``schemas.REWARDS``.
        source_prompts: ``schemas.SOURCE_PROMPTS``, for the prompts' texts.
    """
    prompt_ids, matrix = reward_matrix(rewards, teachers)
    texts = dict(find_texts(source_prompts, pa.array(prompt_ids, pa.string())))
    own = {"kinds": [train_router.kind], "routers": {}, "repeats": 1, "sizes": [1.0]}
    return cross_fit(
        with_tasks(texts, source_prompts, train_router.task_columns),
        matrix,
        settings.model_copy(update=own),
        train_router,
        models,
        seed,
        store,
        asked_at_random(rewards, teachers),
    )


def own_scale(scored: pa.Table, rewards: pa.Table, teachers: Sequence[str], kind: str) -> float:
    """Return ``reward_scale`` of scores of prompts that the routers did not see.

    Args:
        scored: what ``cross_fit_own`` returned for a router of this ``kind``.
        rewards: ``schemas.REWARDS`` that it was given.
    """
    prompt_ids, fair = fair_matrix(rewards, teachers)
    kept = measurable(fair)
    scores = held_out_scores(scored, kind, prompt_ids)
    return reward_scale(scores[kept], worth(fair[kept]))
