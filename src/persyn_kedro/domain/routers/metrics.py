"""The quality of a router's choices on held-out prompts, against a constant and chance."""

from math import comb
from typing import Any

import numpy as np

from persyn_kedro.domain.rewards.reward import NOT_ASKED, TIE, comparable

VERSION = 1  # raise it when the same inputs give another result


def router_metrics(
    scores_holdout: np.ndarray, rewards_holdout: np.ndarray, rewards_fit: np.ndarray
) -> dict[str, Any]:
    """Return Hit@k (k < K) and mean reward regret of the router, the constant and chance.

    All arrays are (prompts, K), rewards NaN if invalid. Only prompts with two valid teachers count
    (``n``). Hit@k: an oracle teacher, including ties, is among the top k. Choosing an invalid
    teacher is a miss, with r = 0. The constant ranks the teachers by mean r on the fit prompts,
    again with 0 for invalid (``constant_index`` is its first). Chance is an exact expectation.
    ``beats_constant``: the router's regret is lower. Without prompts, None.

    Of an incomplete design (rewards are ``NOT_ASKED``) these figures are among the teachers asked,
    and each has a ``reward`` too: the mean reward of the choices among all teachers, corrected for
    who was asked (``corrected``) and over all ``measurable`` prompts, by which ``beats_constant``
    goes then. All that is in the rewards must have been asked at random.
    """
    kept, counted = comparable(rewards_holdout), measurable(rewards_holdout)
    rewards, all_rewards = rewards_holdout[kept], rewards_holdout[counted]
    constant = constant_ranking(rewards_fit)
    rankings = {
        "router": np.argsort(-scores_holdout[kept], axis=1, kind="stable"),  # NaN scores come last
        "constant": np.tile(constant, (len(rewards), 1)),
    }
    figures: dict[str, dict[str, Any]] = {
        **{name: _ranking_metrics(own, rewards) for name, own in rankings.items()},
        "random": _random_metrics(rewards),
    }
    losses = {name: figures[name]["regret"] for name in rankings}
    if len(rewards) and not (all_rewards != NOT_ASKED).all():
        worth = corrected(all_rewards, mean_rewards(rewards_fit))
        chosen = {
            "router": np.argsort(-scores_holdout[counted], axis=1, kind="stable")[:, :1],
            "constant": np.full((len(worth), 1), constant[0]),
        }
        for name, own in chosen.items():
            figures[name]["reward"] = float(np.take_along_axis(worth, own, axis=1).mean())
            losses[name] = -figures[name]["reward"]
        figures["random"]["reward"] = float(worth.mean())
    beats = len(rewards) > 0 and losses["router"] < losses["constant"] - TIE
    return {
        "n": len(rewards),
        "constant_index": int(constant[0]),
        "beats_constant": bool(beats),
        **figures,
    }


def mean_regret(scores: np.ndarray, rewards: np.ndarray) -> float:
    """Return the mean regret of choosing by (n, K) scores; NaN if no prompt can be compared."""
    found = router_metrics(scores, rewards, rewards)["router"]["regret"]
    return float("nan") if found is None else found


def constant_ranking(rewards: np.ndarray) -> np.ndarray:
    """Return the (K,) teacher indices by descending mean reward; ties keep the settings' order.

    Prompts that are not ``measurable`` are left out; an invalid response counts as r = 0.
    """
    means = mean_rewards(rewards)
    left, ranking = list(range(len(means))), []
    while left:
        best = max(means[k] for k in left)
        ranking.append(next(k for k in left if means[k] >= best - TIE))
        left.remove(ranking[-1])
    return np.array(ranking)


def mean_rewards(rewards: np.ndarray) -> np.ndarray:
    """Return the (K,) mean rewards over the prompts that each was asked, as ``constant_ranking``.

    A teacher that was asked nothing has 0.
    """
    kept = rewards[measurable(rewards)]
    asked = kept != NOT_ASKED
    sums = np.where(asked, np.nan_to_num(kept, nan=0.0), 0.0).sum(axis=0)
    return sums / np.maximum(asked.sum(axis=0), 1)


def measurable(rewards: np.ndarray) -> np.ndarray:
    """Return (n,) bool: on which prompts the rewards of choices are measured.

    Those with two valid teachers; of an incomplete design all. There, whether two are valid depends
    on who was asked: a teacher's invalid answers would hardly ever count.
    """
    asked = rewards != NOT_ASKED
    return comparable(rewards) if asked.all() else np.asarray(asked.any(axis=1))


def corrected(rewards: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return (n, K) unbiased estimates of all rewards, of those that were asked at random.

    Doubly robust (Robins, Rotnitzky and Zhao, JASA 1994; METHOD.md, section 1, "Designs"): the
    teacher's mean, plus what an answer differs from it, divided by its propensity: the share of
    the teachers that its prompt was asked of. An invalid answer is worth 0.

    Args:
        rewards: (n, K), with ``NOT_ASKED``.
        means: (K,) any prediction.
    """
    asked = rewards != NOT_ASKED
    propensity = np.maximum(asked.mean(axis=1, keepdims=True), 1 / rewards.shape[1])
    rest = np.where(asked, np.nan_to_num(rewards, nan=0.0, neginf=0.0) - means, 0.0)
    return means + rest / propensity


def worth(rewards: np.ndarray) -> np.ndarray:
    """Return (n, K) rewards as choices are judged by them: 0 if invalid, ``corrected`` if need be.

    All are finite, of prompts that are ``measurable``.
    """
    if (rewards != NOT_ASKED).all():
        return np.nan_to_num(rewards, nan=0.0)
    return corrected(rewards, mean_rewards(rewards))


def asked_first(ranking: np.ndarray, rewards: np.ndarray) -> np.ndarray:
    """Return (n, K) rankings with the teachers that were not asked last, otherwise in order."""
    missing = np.take_along_axis(rewards == NOT_ASKED, ranking, axis=1)
    return np.take_along_axis(ranking, np.argsort(missing, axis=1, kind="stable"), axis=1)


def oracles(rewards: np.ndarray) -> np.ndarray:
    """Return (n, K) bool: the valid teachers whose reward ties with the prompt's best."""
    known = np.where(np.isfinite(rewards), rewards, -np.inf)
    best = known.max(axis=1, keepdims=True) if len(rewards) else rewards
    return known >= best - TIE


def _ranking_metrics(ranking: np.ndarray, rewards: np.ndarray) -> dict[str, float | None]:
    ranking = asked_first(ranking, rewards)
    hits = np.take_along_axis(oracles(rewards), ranking, axis=1)
    hit_at = [np.any(hits[:, :k], axis=1) for k in range(1, rewards.shape[1])]
    return _summary(hit_at, np.take_along_axis(reward_gaps(rewards), ranking[:, :1], axis=1))


def _random_metrics(rewards: np.ndarray) -> dict[str, float | None]:
    hit_at = [hits_by_chance(rewards, k) for k in range(1, rewards.shape[1])]
    return _summary(hit_at, reward_gaps(rewards))


def hits_by_chance(rewards: np.ndarray, k: int) -> np.ndarray:
    """Return (n,) the probability that an oracle is among ``k`` teachers drawn of those asked."""
    asked = (rewards != NOT_ASKED).sum(axis=1).tolist()
    others = (np.array(asked, int) - oracles(rewards).sum(axis=1)).tolist()
    drawn = [(m, n, min(k, n)) for m, n in zip(others, asked, strict=True)]
    return np.array([1 - comb(m, own) / comb(n, own) for m, n, own in drawn])


def reward_gaps(rewards: np.ndarray) -> np.ndarray:
    """Return (n, K): what choosing each teacher loses to the oracle, with r = 0 if invalid.

    NaN where the teacher was not asked; then the oracle is the best of those asked.
    """
    filled = np.where(np.isnan(rewards), 0.0, rewards)
    gaps = filled.max(axis=1, keepdims=True) - filled
    return np.where(rewards == NOT_ASKED, np.nan, gaps)


def _summary(hit_at: list[np.ndarray], gaps: np.ndarray) -> dict[str, float | None]:
    names = [f"hit@{k}" for k in range(1, len(hit_at) + 1)]
    if not len(gaps):
        return dict.fromkeys([*names, "regret"])
    figures = {name: float(np.mean(hits)) for name, hits in zip(names, hit_at, strict=True)}
    return {**figures, "regret": float(np.nanmean(gaps))}
