"""The quality of a router's choices on held-out prompts, against a constant and chance."""

from math import comb
from typing import Any

import numpy as np

from persyn_kedro.domain.rewards.reward import TIE, comparable

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
    """
    kept = comparable(rewards_holdout)
    rewards = rewards_holdout[kept]
    constant = constant_ranking(rewards_fit)
    router = np.argsort(-scores_holdout[kept], axis=1, kind="stable")  # NaN scores come last
    figures = {
        "router": _ranking_metrics(router, rewards),
        "constant": _ranking_metrics(np.tile(constant, (len(rewards), 1)), rewards),
        "random": _random_metrics(rewards),
    }
    beats = len(rewards) > 0 and (
        figures["router"]["regret"] < figures["constant"]["regret"] - TIE  # type: ignore[operator]
    )
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

    Prompts with fewer than two valid teachers are left out; an invalid response counts as r = 0.
    """
    kept = np.nan_to_num(rewards[comparable(rewards)], nan=0.0)
    means = kept.mean(axis=0) if len(kept) else np.zeros(rewards.shape[1])
    left, ranking = list(range(len(means))), []
    while left:
        best = max(means[k] for k in left)
        ranking.append(next(k for k in left if means[k] >= best - TIE))
        left.remove(ranking[-1])
    return np.array(ranking)


def oracles(rewards: np.ndarray) -> np.ndarray:
    """Return (n, K) bool: the valid teachers whose reward ties with the prompt's best."""
    best = np.nanmax(rewards, axis=1, keepdims=True) if len(rewards) else rewards
    return np.nan_to_num(rewards, nan=-np.inf) >= best - TIE


def _ranking_metrics(ranking: np.ndarray, rewards: np.ndarray) -> dict[str, float | None]:
    hits = np.take_along_axis(oracles(rewards), ranking, axis=1)
    hit_at = [np.any(hits[:, :k], axis=1) for k in range(1, rewards.shape[1])]
    return _summary(hit_at, np.take_along_axis(reward_gaps(rewards), ranking[:, :1], axis=1))


def _random_metrics(rewards: np.ndarray) -> dict[str, float | None]:
    count = rewards.shape[1]
    others = count - oracles(rewards).sum(axis=1)
    hit_at = [
        np.array([1 - comb(int(m), k) / comb(count, k) for m in others]) for k in range(1, count)
    ]
    return _summary(hit_at, reward_gaps(rewards))


def reward_gaps(rewards: np.ndarray) -> np.ndarray:
    """Return (n, K): what choosing each teacher loses to the oracle, with r = 0 if invalid."""
    filled = np.nan_to_num(rewards, nan=0.0)
    return filled.max(axis=1, keepdims=True) - filled


def _summary(hit_at: list[np.ndarray], gaps: np.ndarray) -> dict[str, float | None]:
    names = [f"hit@{k}" for k in range(1, len(hit_at) + 1)]
    if not len(gaps):
        return dict.fromkeys([*names, "regret"])
    figures = {name: float(np.mean(hits)) for name, hits in zip(names, hit_at, strict=True)}
    return {**figures, "regret": float(np.mean(gaps))}
