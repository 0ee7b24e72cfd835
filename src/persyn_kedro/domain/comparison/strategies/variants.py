"""PerSyn with other routers and rewards: a router fitted for each, without new API calls."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.comparison.strategies.labelled import Labelled
from persyn_kedro.domain.prompts.select import ANSWERED, CALIBRATION, select_ids, select_texts
from persyn_kedro.domain.rewards.reward import (
    asked_at_random,
    comparable,
    fitted_rewards,
    tell_apart,
)
from persyn_kedro.domain.router_comparison.fitting import Fitting, Prompts, scores_of
from persyn_kedro.domain.routers.registry import router_class
from persyn_kedro.domain.routers.saving import readers_of
from persyn_kedro.domain.routers.tasks import with_tasks
from persyn_kedro.domain.stores.tables import RoutingStore
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.compare import CompareSettings, VariantSettings
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings
from persyn_kedro.foundations.settings.label import LOCAL_LIKELIHOOD, LabelSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.references import own_code_named
from persyn_kedro.foundations.settings.router_defaults import completed
from persyn_kedro.foundations.settings.routers import KINDS, TrainRouterSettings, settings_of_kind
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.foundations.tables import schemas

VERSION = 1  # raise it when the same inputs give another result

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Variant:
    """A strategy's router, and what its reward differs in from ``label``."""

    router: TrainRouterSettings
    reward: Mapping[str, Any]


def variants_of(
    compare: CompareSettings,
    routers: CompareRoutersSettings,
    train_router: TrainRouterSettings,
    alpha: float,
) -> dict[str, Variant]:
    """Return the strategies with a router of their own, by name.

    Args:
        alpha: ``label.alpha``.

    Raises:
        PersynError: a router is neither one of ``compare_routers.routers`` nor a kind.
    """
    return {
        name: Variant(_router(name, each, routers, train_router), each.reward)
        for name, each in compare.routed(alpha).items()
    }


def _router(
    name: str,
    variant: VariantSettings,
    routers: CompareRoutersSettings,
    train_router: TrainRouterSettings,
) -> TrainRouterSettings:
    if variant.router is None:
        return train_router
    if variant.router in routers.routers:
        return completed(routers.routers[variant.router], train_router)
    if variant.router in KINDS:
        return settings_of_kind(variant.router, train_router.model_dump())
    named = ", ".join([*routers.routers, *KINDS])
    raise PersynError(
        f"compare.variants.{name}.router is {variant.router!r}, which is neither one of "
        f"compare_routers.routers nor a kind of router: choose one of {named}."
    )


def check_variants(
    compare: CompareSettings,
    compare_routers: CompareRoutersSettings,
    train_router: TrainRouterSettings,
    label: LabelSettings,
    teachers: Teachers,
) -> None:
    """Refuse variants that name what there is not, before a router is fitted.

    Raises:
        PersynError: names the first such.
    """
    for variant in variants_of(compare, compare_routers, train_router, label.alpha).values():
        for kind in own_code_named(variant.router):
            router_class(kind)
    for name, each in compare.variants.items():
        if each.teacher is not None and each.teacher not in teachers.root:
            raise PersynError(
                f"compare.variants.{name}.teacher is {each.teacher!r}, which is not a teacher; the "
                f"teachers are {', '.join(teachers.root)}."
            )
        if each.learnability == LOCAL_LIKELIHOOD and not label.local:
            raise PersynError(
                f"compare.variants.{name}.learnability is {LOCAL_LIKELIHOOD}, for which the "
                "student must read the answers sentence by sentence: set label.local to true and "
                "run `kedro run --pipelines=label`."
            )


def score_variants(
    variants: Mapping[str, Variant],
    prompts: pads.Dataset,
    labelled: Labelled,
    models: Models,
    seed: int,
    store: RoutingStore,
) -> pa.Table:
    """Return ``schemas.VARIANT_SCORES``; a variant whose rewards are all equal is left out.

    Args:
        prompts: ``schemas.PROMPTS``; test prompts are not scored.
    """
    plain = dict(select_texts(prompts, ANSWERED))
    fit = set(select_ids(prompts, CALIBRATION, ["fit"])["prompt_id"].to_pylist())
    at_random = asked_at_random(labelled.table_with(), labelled.teachers)
    fittings: dict[str, Fitting] = {}
    for name, variant in variants.items():
        router = variant.router
        texts = with_tasks(plain, prompts, router.task_columns)
        prompt_ids, matrix = labelled.rewards_with(**variant.reward)
        kept = [i for i, prompt_id in enumerate(prompt_ids) if prompt_id in fit]
        rewards = matrix[kept]
        seen = fitted_rewards(rewards, router.invalid)
        if not comparable(seen).any() or not tell_apart(seen):
            log.warning("%s: all teachers' rewards are equal: left out", name)
            continue
        fitted: Prompts = {prompt_ids[i]: texts[prompt_ids[i]] for i in kept}
        known = None if at_random is None else at_random[kept]
        readers = readers_of(models, router)
        fittings[name] = Fitting(router, readers, seed, fitted, rewards, texts, known)
    found = scores_of(list(fittings.values()), store)
    scored = [
        {"strategy": name, "prompt_id": prompt_id, "scores": scores[prompt_id]}
        for name, scores in zip(fittings, found, strict=True)
        for prompt_id in plain
    ]
    return pa.Table.from_pylist(scored, schemas.VARIANT_SCORES)
