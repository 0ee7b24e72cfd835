"""Routers compared on prompts that they were not fitted on, with intervals.

METHOD.md, section 2: Hit@k and mean reward regret; also the area under the ROC curve of pair
preferences (does the router rank the better of two teachers higher).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from persyn_kedro.domain.intervals.bootstrap import estimate, mean_over_prompts, resampled_counts
from persyn_kedro.domain.rewards.reward import NOT_ASKED, TIE, comparable
from persyn_kedro.domain.routers.metrics import (
    asked_first,
    constant_ranking,
    corrected,
    hits_by_chance,
    mean_rewards,
    oracles,
    reward_gaps,
)

CONSTANT, RANDOM, ORACLE = "constant", "random", "oracle"


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are computed."""

    resamples: int
    confidence: float
    seed: int


def constant_scores(rewards: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return (n, K): in each fold, minus the rank in the other folds' order by mean reward.

    (R, n) folds of R repeats give (R, n, K).
    """
    if folds.ndim > 1:
        return np.stack([constant_scores(rewards, own) for own in folds])
    scores = np.zeros(rewards.shape)
    for fold in np.unique(folds):
        ranking = constant_ranking(rewards[folds != fold])
        places = np.empty(len(ranking))
        places[ranking] = np.arange(len(ranking))
        scores[folds == fold] = -places
    return scores


def measure_scores(
    scores: Mapping[str, np.ndarray],
    rewards: np.ndarray,
    bootstrap: Bootstrap,
    with_auc: bool = True,
) -> dict[str, dict[str, Any]]:
    """Return Hit@k (k < K), regret and AUC of each router, with intervals.

    Args:
        scores: by router (n, K), or (R, n, K) of R repeats, over which a prompt's figures are
            averaged; must contain ``CONSTANT``. Chance and oracle are added.
        rewards: (n, K) float64, NaN if invalid, of prompts that are ``measurable``.
            ``NOT_ASKED`` where an incomplete design did not ask; the others were asked at random.

    Returns:
        dict: By router ``{"hit@1": estimate, …, "regret": estimate, "auc": estimate}``, and
        ``"regret_to_constant"``: the mean paired difference from the constant, below 0 if better.
        Of an incomplete design Hit@k, regret and AUC are among the teachers asked, of prompts with
        two valid ones; then there is a ``"reward"`` over all prompts, corrected for who was asked,
        whose difference is ``regret_to_constant``.
    """
    per_prompt = {name: _per_prompt(s, rewards) for name, s in scores.items()}
    per_prompt[RANDOM] = _by_chance(rewards)
    per_prompt[ORACLE] = _per_prompt(np.where(np.isfinite(rewards), rewards, -np.inf), rewards)
    if not (rewards != NOT_ASKED).all():
        del per_prompt[ORACLE]["reward"]  # the best of all teachers is unknown
    figures: dict[str, dict[str, Any]] = {}
    for name, columns in per_prompt.items():
        figures[name] = {key: _mean(values, bootstrap) for key, values in columns.items()}
        constant = per_prompt[CONSTANT]
        difference = (
            constant["reward"] - columns["reward"]
            if "reward" in columns
            else columns["regret"] - constant["regret"]
        )
        if name != CONSTANT:
            figures[name]["regret_to_constant"] = _mean(difference, bootstrap)
        if name in scores and with_auc:
            figures[name]["auc"] = pair_auc(scores[name], rewards, bootstrap)
    return figures


def pair_auc(scores: np.ndarray, rewards: np.ndarray, bootstrap: Bootstrap) -> Any:
    """Return the AUC for ranking two teachers, resampling prompts; None without pairs.

    Each pair of unequal rewards counts in both orders, so the pool's order has no influence. With d
    the score of the better minus that of the worse, the AUC is P(d_i + d_j > 0) over all two pairs.
    """
    margins = _margins(scores, rewards)
    counts = np.array([len(d) for d in margins])
    if not counts.sum():
        return None
    flat, owner = np.concatenate(margins), np.repeat(np.arange(len(margins)), counts)
    mirrored = np.argsort(-flat, kind="stable")
    below = np.searchsorted(-flat[mirrored], flat, side="left")
    level = np.searchsorted(-flat[mirrored], flat, side="right")

    def auc(weights: np.ndarray) -> float:
        """For each pair, sum the weights of those whose mirror image is below; ties count half."""
        own = weights[owner]
        sums = np.concatenate([[0.0], np.cumsum(own[mirrored])])
        return float(own @ (sums[below] + sums[level])) / (2 * sums[-1] ** 2)

    drawn = resampled_counts(len(margins), bootstrap.resamples, bootstrap.seed)
    draws = np.array([auc(own) for block in drawn for own in block if own @ counts > 0])
    value = auc(np.ones(len(margins)))
    return estimate(value, draws, bootstrap.confidence).as_dict()


def pair_calibration(scores: np.ndarray, rewards: np.ndarray, bins: int = 10) -> list[dict]:
    """Return, by bins of the predicted P(B better than A), the share of pairs that B won.

    Scores are (n, K), or (R, n, K) of R repeats.

    P = sigmoid(score_B - score_A) (METHOD.md, section 2), which only holds for the scores of a
    router fitted with Bradley-Terry's loss (``preference_routers``). Ties count half; each pair
    counts in both orders. Empty bins are left out.
    """
    found = [
        (probability, target)
        for rows in scores.reshape(-1, *rewards.shape)
        for row, reward in zip(rows, rewards, strict=True)
        for probability, target in _predictions(row, reward)
    ]
    if not found:
        return []
    predicted, observed = np.array(found).T
    place = np.minimum((predicted * bins).astype(int), bins - 1)
    return [
        {
            "predicted": float(predicted[place == b].mean()),
            "observed": float(observed[place == b].mean()),
            "pairs": int((place == b).sum()),
        }
        for b in range(bins)
        if (place == b).any()
    ]


def _predictions(scores: np.ndarray, rewards: np.ndarray) -> list[tuple[float, float]]:
    valid = np.flatnonzero(np.isfinite(rewards))
    return [
        (
            float(1 / (1 + np.exp(-(float(scores[b]) - float(scores[a]))))),
            0.5 if abs(rewards[b] - rewards[a]) <= TIE else float(rewards[b] > rewards[a]),
        )
        for a in valid
        for b in valid
        if a != b
    ]


def _margins(scores: np.ndarray, rewards: np.ndarray) -> list[np.ndarray]:
    """Return for each prompt the score margins of the better over the worse of each pair."""
    found = []
    repeats = scores.astype(np.float64).reshape(-1, *rewards.shape).swapaxes(0, 1)
    for rows, reward in zip(repeats, rewards, strict=True):
        reward = np.where(reward == NOT_ASKED, np.nan, reward)
        better = reward[:, None] - reward[None, :] > TIE  # comparisons with NaN are false
        found.append(np.concatenate([(row[:, None] - row[None, :])[better] for row in rows]))
    return found


def _per_prompt(scores: np.ndarray, rewards: np.ndarray) -> dict[str, np.ndarray]:
    if scores.ndim > 2:
        repeats = [_per_prompt(own, rewards) for own in scores]
        return {key: np.mean([own[key] for own in repeats], axis=0) for key in repeats[0]}
    chosen = np.argsort(-scores, axis=1, kind="stable")
    ranking = asked_first(chosen, rewards)
    hits = np.take_along_axis(oracles(rewards), ranking, axis=1)
    columns = {
        f"hit@{k}": np.any(hits[:, :k], axis=1).astype(np.float64)
        for k in range(1, rewards.shape[1])
    }
    gaps = np.take_along_axis(reward_gaps(rewards), ranking[:, :1], axis=1)[:, 0]
    return {
        **_of_comparable({**columns, "regret": gaps}, rewards),
        **_worth(rewards, chosen[:, :1]),
    }


def _of_comparable(columns: Mapping[str, np.ndarray], rewards: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns with NaN at prompts without two valid teachers."""
    kept = comparable(rewards)
    return {name: np.where(kept, values, np.nan) for name, values in columns.items()}


def _worth(rewards: np.ndarray, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """Return (n,) the corrected reward of (n, c) equally likely choices; nothing if complete."""
    if (rewards != NOT_ASKED).all():
        return {}
    worth = corrected(rewards, mean_rewards(rewards))
    return {"reward": np.take_along_axis(worth, chosen, axis=1).mean(axis=1)}


def _by_chance(rewards: np.ndarray) -> dict[str, np.ndarray]:
    """Return the exact expectation of a random order, for each prompt."""
    count = rewards.shape[1]
    columns = {f"hit@{k}": hits_by_chance(rewards, k) for k in range(1, count)}
    worth = _worth(rewards, np.tile(np.arange(count), (len(rewards), 1)))
    columns["regret"] = np.nanmean(reward_gaps(rewards), axis=1)
    return {**_of_comparable(columns, rewards), **worth}


def losses_of(scores: np.ndarray, rewards: np.ndarray) -> np.ndarray:
    """Return (n,) what the choices lose: regret, or minus the corrected reward where that is all
    that is known."""
    columns = _per_prompt(scores, rewards)
    return -columns["reward"] if "reward" in columns else columns["regret"]


def mean_with_interval(values: np.ndarray, bootstrap: Bootstrap) -> dict[str, Any]:
    """Return the estimate of the mean of (n,) values, n > 0."""
    found = _mean(values, bootstrap)
    assert found is not None  # noqa: S101
    return found


def _mean(values: np.ndarray, bootstrap: Bootstrap) -> dict[str, Any] | None:
    values = values[np.isfinite(values)]  # NaN: see _of_comparable
    found = mean_over_prompts(values, bootstrap.resamples, bootstrap.confidence, bootstrap.seed)
    return found.as_dict() if found else None
