"""Rewards of teachers' responses: validity, normalisation and the mixture.

METHOD.md, section 1 (PerSyn, arXiv 2510.10925).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.designs.asked import asked_of, of_random_ones, with_asked
from persyn_kedro.domain.quality.judge.note import judged_of, with_judged
from persyn_kedro.domain.rewards.levelling import levelled
from persyn_kedro.domain.rewards.samples import Samples, read_samples
from persyn_kedro.domain.rewards.scales import normalise, scale_of
from persyn_kedro.foundations.settings.label import LabelSettings, Normalisation
from persyn_kedro.foundations.tables.schemas import REWARDS

VERSION = 1  # raise it when the same inputs give another result

NOT_ASKED = -np.inf  # in matrices of rewards: the design did not ask this teacher this prompt
TIE = 1e-9  # rewards that differ by no more than this are equal


def _deviations(
    samples: Samples,
    terms: Sequence[np.ndarray],
    valid: np.ndarray,
    weights: Sequence[float],
    how: Normalisation,
) -> np.ndarray:
    """Return (n, K) the standard deviation of the reward over a teacher's valid answers.

    Each answer is put on the scale of the (n, K) ``terms``, which it may leave. It is NaN for fewer
    than two answers.
    """
    rewards = np.where(samples.valid, 0.0, np.nan)
    of_samples = (samples.quality, samples.learnability)
    for each, term, weight in zip(of_samples, terms, weights, strict=True):
        if weight > 0:
            scale = scale_of(term, valid & np.isfinite(term), how)
            rewards += weight * scale(np.where(samples.valid, each, 0.0))
    counts = samples.valid.sum(axis=-1)
    means = np.nansum(rewards, axis=-1) / np.maximum(counts, 1)
    squares = np.nansum((rewards - means[..., None]) ** 2, axis=-1)
    return np.where(counts > 1, np.sqrt(squares / np.maximum(counts - 1, 1)), np.nan)


def fitted_rewards(
    rewards: np.ndarray, invalid: Literal["leave_out", "lose"], as_reward: float = -1.0
) -> np.ndarray:
    """Return the (n, K) rewards that a router is fitted on.

    With ``lose`` [ours] an invalid response counts as ``as_reward``: a router that sees only a
    teacher's valid responses overestimates it, because if its answers are often truncated, those
    that are not tend to be the good ones. A prompt without a valid teacher stays NaN, and so does
    what was not asked. Where the design did not ask all teachers, rewards are ``levelled``.
    """
    asked = rewards != NOT_ASKED
    if invalid == "lose":
        some = np.isfinite(rewards).any(axis=1, keepdims=True)
        rewards = np.where(some & np.isnan(rewards), as_reward, rewards)
    return rewards if asked.all() else levelled(np.where(asked, rewards, np.nan))


def comparable(rewards: np.ndarray) -> np.ndarray:
    """Return (n,) bool: which prompts have two or more valid teachers, so pairs and metrics."""
    return np.isfinite(rewards).sum(axis=1) >= 2


def compute_rewards(
    responses: pa.Table,
    statistics: pa.Table,
    quality: pa.Table,
    teachers: Sequence[str],
    settings: LabelSettings,
) -> pa.Table:
    """Return r = (1 - alpha) r_q + alpha r_l of every prompt and teacher, as a REWARDS table.

    Learnability is the signal ``settings.learnability`` of the student's token statistics; of
    several answers of a teacher the terms are as ``settings.samples`` says. Rows are ordered by
    prompt id, then by ``teachers``; a teacher that did not answer has an invalid row (no row, where
    ``responses`` are of an incomplete design, as noted in them), and teachers not in ``teachers``
    are ignored. Quality and statistics are looked up by response key.

    Raises:
        PersynError: a teacher has two responses for one sample, or the signal failed.
    """
    samples = read_samples(responses, statistics, quality, teachers, settings)
    q, l = samples.terms(settings.samples)  # noqa: E741
    valid = np.logical_or.reduce(samples.valid, axis=-1)
    if settings.unsolved == "leave_out":
        valid &= _solved(q, valid)[:, None]
    how = settings.normalise
    q_scaled, l_scaled = normalise(q, valid, how), normalise(l, valid, how)
    reward, weights = np.where(valid, 0.0, np.nan), (1 - settings.alpha, settings.alpha)
    for term, weight in zip((q_scaled, l_scaled), weights, strict=True):
        if weight > 0:
            reward += weight * term
    best, pool = samples.best(), range(len(teachers))
    places = [(i, k, int(best[i, k])) for i in range(len(samples.prompt_ids)) for k in pool]
    rows = [samples.rows.get(place, {}) for place in places]
    columns = [
        [samples.prompt_ids[i] for i, _, _ in places],
        [teachers[k] for _, k, _ in places],
        [row.get("response_key") for row in rows],
        *(_nullable(column) for column in (q, l, q_scaled, l_scaled, reward)),
        valid.ravel().tolist(),
        [row.get("sample_index") for row in rows],
        np.where(valid, samples.valid.sum(axis=-1), 0).ravel().tolist(),
        _nullable(np.where(valid, _deviations(samples, (q, l), valid, weights, how), np.nan)),
    ]
    arrays = [pa.array(c, type=f.type) for c, f in zip(columns, REWARDS, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=REWARDS)
    asked = asked_of(responses.schema)
    if asked is not None:
        table = with_asked(table.filter(pc.is_valid(table[2])), asked)
    return with_judged(table, judged_of(quality.schema))


def never_valid(rewards: pa.Table) -> list[str]:
    """Return the teachers, in the table's order, none of whose responses is valid."""
    valid: dict[str, bool] = {}
    for row in rewards.select(["teacher", "valid"]).to_pylist():
        valid[row["teacher"]] = valid.get(row["teacher"], False) or row["valid"]
    return [teacher for teacher, some in valid.items() if not some]


def unsolved_prompts(rewards: pa.Table) -> frozenset[str]:
    """Return the calibration prompts that labelling left out: none of their responses is valid."""
    prompts = rewards.group_by("prompt_id").aggregate([("valid", "any")])
    return frozenset(prompts.filter(pc.invert(prompts["valid_any"]))["prompt_id"].to_pylist())


def tell_apart(rewards: np.ndarray) -> bool:
    """Return whether any prompt of the (n, K) rewards has two valid ones that differ."""
    low = np.where(np.isfinite(rewards), rewards, np.inf).min(axis=1)
    high = np.where(np.isfinite(rewards), rewards, -np.inf).max(axis=1)
    return bool((high - low > TIE).any())


def reward_matrix(rewards: pa.Table, teachers: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the prompt ids in the table's order and their (n, K) float64 rewards, NaN invalid.

    Of an incomplete design, rewards of what it did not ask are ``NOT_ASKED``.
    """
    column = {teacher: index for index, teacher in enumerate(teachers)}
    table = rewards.select(["prompt_id", "teacher", "reward", "valid"]).to_pylist()
    line = {
        prompt_id: i for i, prompt_id in enumerate(dict.fromkeys(r["prompt_id"] for r in table))
    }
    missing = np.nan if asked_of(rewards.schema) is None else NOT_ASKED
    matrix = np.full((len(line), len(column)), missing)
    for row in table:
        if row["teacher"] in column:
            place = line[row["prompt_id"]], column[row["teacher"]]
            matrix[place] = row["reward"] if row["valid"] else np.nan
    return list(line), matrix


def fair_matrix(rewards: pa.Table, teachers: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """As ``reward_matrix``, of what was asked at random: choices are measured by it."""
    return reward_matrix(of_random_ones(rewards, asked_of(rewards.schema)), teachers)


def asked_at_random(rewards: pa.Table, teachers: Sequence[str]) -> np.ndarray | None:
    """Return (n, K) bool in the order of ``reward_matrix``; None unless the design is adaptive."""
    asked = asked_of(rewards.schema)
    if asked is None or not asked.adaptive:
        return None
    prompt_ids, _ = reward_matrix(rewards, teachers)
    columns = {teacher: k for k, teacher in enumerate(asked.teachers)}
    first = asked.first(prompt_ids)
    found = np.zeros((len(prompt_ids), len(teachers)), bool)
    for k, teacher in enumerate(teachers):
        if teacher in columns:
            found[:, k] = first[:, columns[teacher]]
    return found


def _solved(quality: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return (n,) bool: some valid response's quality is known, and the best is not 0."""
    known = np.where(valid & np.isfinite(quality), quality, -np.inf).max(axis=1)
    return np.isfinite(known) & (known != 0)


def _nullable(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.ravel().tolist()]
