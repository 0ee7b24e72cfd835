"""Rewards without the prompts' own difficulty, where each prompt has other teachers' answers."""

import numpy as np


def levelled(rewards: np.ndarray) -> np.ndarray:
    """Return rewards minus their prompts' effects, plus the mean effect (METHOD.md, "Designs").

    The model is r_xk = a_x + b_k + e with random a (variance v_a) and fixed b. A teacher asked on
    hard prompts is then not taken for a bad one; differences within a prompt are kept exactly.

    Args:
        rewards: (n, K) float64, NaN where missing or left out.
    """
    known = np.isfinite(rewards)
    counts = known.sum(axis=1)
    several = counts > 1
    if not several.any():
        return rewards
    values, shares = np.where(known, rewards, 0.0), known / np.maximum(counts, 1)[:, None]
    # Least squares of the fixed teachers' effects b, each prompt's mean taken out.
    within = known[several].astype(float)
    matrix = np.diag(within.sum(axis=0)) - within.T @ shares[several]
    means = (values * shares).sum(axis=1)
    right = (values - means[:, None] * known)[several].sum(axis=0)
    teachers = np.linalg.lstsq(matrix, right, rcond=None)[0]
    effects = means - shares @ teachers
    rest = np.where(known, values - effects[:, None] - teachers, 0.0)
    freedom = max(1, int((counts[several] - 1).sum()) - len(teachers) + 1)
    noise = float((rest[several] ** 2).sum()) / freedom
    there = counts > 0
    spread = float(np.var(effects[there])) - noise * float(np.mean(1 / counts[there]))
    weights = _share(max(0.0, spread), noise / np.maximum(counts, 1))
    middle = float(effects[there].mean())
    return rewards - (weights * (effects - middle))[:, None]


def teacher_means(rewards: np.ndarray) -> np.ndarray:
    """Return the (K,) means over the prompts with a reward, (n, K), NaN without; 0 if none has."""
    known = np.isfinite(rewards)
    return np.where(known, rewards, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def _share(spread: float, noise: np.ndarray) -> np.ndarray:
    """Return the weight of a prompt's own effect: its variance's share, 1 without noise."""
    total = spread + noise
    return np.where(total > 0, spread / np.where(total > 0, total, 1.0), 1.0)
