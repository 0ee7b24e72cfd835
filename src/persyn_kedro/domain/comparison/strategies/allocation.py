"""All strategies' choices in one table, and which strategies this pool does not allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.comparison.strategies import merits, rules
from persyn_kedro.domain.comparison.strategies.rules import Choices
from persyn_kedro.domain.rewards.reward import fair_matrix, reward_matrix
from persyn_kedro.domain.routers.metrics import constant_ranking, measurable
from persyn_kedro.foundations.settings.compare import RANDOM, CompareSettings
from persyn_kedro.foundations.tables import schemas

VERSION = 1  # raise it when the same inputs give another result

Scores = Mapping[str, Sequence[float]]  # the router's, by prompt_id, in the pool's order
PERSYN, ORACLE, PERSYN_CALIBRATION = "persyn", "oracle", "persyn_calibration"
PERSYN_CHEAP = "persyn_cheap"
FAMILY_STRONG, BEST_CONSTANT = "family_strong", "best_constant"
ON_CALIBRATION = (ORACLE, PERSYN_CALIBRATION)  # trained only on the calibration prompts


def reference_of(strategy: str) -> str:
    """Return the strategy that this one is compared with: both have the same prompts."""
    return PERSYN_CALIBRATION if strategy in ON_CALIBRATION else PERSYN


@dataclass(frozen=True)
class Pool:
    """The teachers in the settings' order, their models' families and the student's family."""

    teachers: list[str]
    families: dict[str, str | None]
    student_family: str | None


@dataclass(frozen=True)
class RouterScores:
    """The routers' scores.

    Attributes:
        routed: of the prompts that the students are trained on.
        variants: of strategies with a router of their own; empty if none could be fitted.
        held_out: of the calibration prompts, each by a router that was not fitted on it.
        cheap: ``cheap_scores``, or why there are none; only if the strategy is compared.
    """

    routed: Scores
    variants: Mapping[str, Scores]
    held_out: Scores
    cheap: Scores | str = ""


def allocate(
    prompt_ids: list[str],
    pool: Pool,
    rewards: pa.Table,
    nll: Mapping[str, float],
    scores: RouterScores,
    settings: CompareSettings,
    seed: int,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return ``schemas.ALLOCATIONS``, and notes for the reader.

    Args:
        prompt_ids: the students' training prompts (calibration and train, without withheld ones).
        rewards: of the calibration prompts, at ``label.alpha``.
        nll: ``merits.mean_nll``, which CAR uses.

    Returns:
        tuple: The table, strategy by strategy, and ``{"teachers": {strategy: its only teacher},
        "left_out": {strategy: why}}``.
    """
    rankings, left_out = _rankings(rewards, nll, pool, settings)
    routed = _only(scores.routed, prompt_ids)
    made: dict[str, Choices] = {PERSYN: rules.routed(routed, pool.teachers)}
    if isinstance(scores.cheap, str):
        left_out[PERSYN_CHEAP] = scores.cheap
    else:
        made[PERSYN_CHEAP] = rules.routed(_only(scores.cheap, prompt_ids), pool.teachers)
    for name, other in scores.variants.items():
        if other:
            made[name] = rules.routed(_only(other, prompt_ids), pool.teachers)
        else:
            left_out[name] = "no two teachers' rewards differ"
    teachers = {n: each.teacher for n, each in settings.variants.items() if each.teacher}
    made |= {n: rules.same_for_all(prompt_ids, [teacher]) for n, teacher in teachers.items()}
    for name, ranking in rankings.items():
        if name in settings.strategies:
            made[name] = rules.same_for_all(prompt_ids, ranking)
            teachers[name] = ranking[0]
    if "mix" in settings.strategies and "strong" in rankings:
        strong, weak = rankings["strong"][0], _weakest(rewards, pool)
        made["mix"] = rules.mix(prompt_ids, strong, weak, settings.mix_strong_share, seed)
        teachers["mix"] = ", ".join(dict.fromkeys([strong, weak]))
    if RANDOM in settings.strategies:
        made[RANDOM] = rules.at_random(prompt_ids, pool.teachers, seed)
    if ORACLE in settings.strategies:
        made.update(_on_calibration(rewards, scores.held_out, pool))
    wanted = {n for n in left_out if n in settings.strategies or n in scores.variants}
    return _table(made), {
        "teachers": teachers,
        "left_out": {name: why for name, why in left_out.items() if name in wanted},
    }


def _table(made: Mapping[str, Choices]) -> pa.Table:
    rows = [
        {"strategy": name, "prompt_id": prompt_id, "choices": chosen}
        for name, allocation in made.items()
        for prompt_id, chosen in allocation.items()
    ]
    return pa.Table.from_pylist(rows, schemas.ALLOCATIONS)


def _on_calibration(rewards: pa.Table, held_out_scores: Scores, pool: Pool) -> dict[str, Choices]:
    """Return the oracle's choices, and PerSyn's for the same prompts by held-out scores."""
    ids, matrix = reward_matrix(rewards, pool.teachers)
    scored = [i for i, prompt_id in enumerate(ids) if prompt_id in held_out_scores]
    best = rules.oracle([ids[i] for i in scored], matrix[scored], pool.teachers)
    same = rules.routed(_only(held_out_scores, list(best)), pool.teachers)
    return {ORACLE: best, PERSYN_CALIBRATION: same}


def _rankings(
    rewards: pa.Table, nll: Mapping[str, float], pool: Pool, settings: CompareSettings
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the teachers' order for each strategy that has one order for all prompts."""
    found, left_out = {}, {}
    _, matrix = fair_matrix(rewards, pool.teachers)
    if measurable(matrix).any():
        found[BEST_CONSTANT] = [pool.teachers[k] for k in constant_ranking(matrix)]
    else:
        left_out[BEST_CONSTANT] = "no calibration prompt has two valid teachers"
    quality = merits.mean_quality(rewards, pool.teachers)
    if not quality:
        why = "no response to a calibration prompt has a known quality"
        return found, left_out | dict.fromkeys(("strong", "mix", "family_strong", "car"), why)
    found["strong"] = rules.by_merit(quality, pool.teachers)
    family = [
        t
        for t in found["strong"]
        if pool.student_family and pool.families[t] == pool.student_family and t in quality
    ]
    if family:
        found[FAMILY_STRONG] = family
    else:
        left_out[FAMILY_STRONG] = (
            "no teacher of known quality belongs to the student's family "
            f"({pool.student_family or 'not set'})"
        )
    car = merits.car_scores(quality, nll, settings.car_beta)
    if car:
        found["car"] = rules.by_merit(car, pool.teachers)
    else:
        left_out["car"] = "no teacher has both a known quality and a known likelihood"
    return found, left_out


def _weakest(rewards: pa.Table, pool: Pool) -> str:
    """Return the teacher with the lowest mean r_q; the first of a tie."""
    quality = merits.mean_quality(rewards, pool.teachers)
    lowest = min(quality.values())
    return next(t for t in pool.teachers if quality.get(t, np.inf) <= lowest)


def _only(scores: Scores, prompt_ids: Sequence[str]) -> dict[str, Sequence[float]]:
    return {prompt_id: scores[prompt_id] for prompt_id in prompt_ids}
