"""Whom to ask next, what it is expected to be worth, and which teachers are best nowhere."""

from collections.abc import Sequence

import numpy as np

from persyn_kedro.domain.adaptive.belief import Belief
from persyn_kedro.foundations.hashing import unit_draw

DRAWS = 1024  # of the normal distribution, for an expected maximum


def best_nowhere(belief: Belief, pool: np.ndarray, confidence: float) -> np.ndarray:
    """Return (K,) bool: teachers whose upper bound is below some lower bound for every prompt.

    Args:
        pool: (K,) bool, the teachers not dropped before.
    """
    from scipy.stats import norm

    reach = float(norm.ppf(confidence)) * belief.error
    lower = np.where(pool, belief.mean - reach, -np.inf).max(axis=1, keepdims=True)
    return np.asarray(pool & (belief.mean + reach < lower).all(axis=0))


def knowledge_gradient(belief: Belief, pool: np.ndarray) -> np.ndarray:
    """Return (n, K): how much one teacher's mean is expected to raise the best, were it known.

    With d the distance to the best other teacher and s the standard error: s f(-d / s),
    f(z) = phi(z) + z Phi(z) (Frazier, Powell and Dayanik, SIAM J. Control Optim. 47, 2008).
    """
    from scipy.stats import norm

    mean = np.where(pool, belief.mean, -np.inf)
    first, second = np.sort(mean, axis=1)[:, :-3:-1].T[:, :, None]
    others = np.where(mean == first, second, first)
    error = np.maximum(belief.error, 1e-12)
    z = -np.abs(np.where(pool, belief.mean - others, np.inf)) / error
    return np.where(pool, error * (norm.pdf(z) + np.where(z > -30, z, 0) * norm.cdf(z)), 0.0)


def expected_saving(belief: Belief, pool: np.ndarray, seed: int) -> float:
    """Return the mean regret of a prompt that the next batch is expected to save.

    The value of sample information (Raiffa and Schlaifer, 1961): by the batch the means will move
    as ``belief.move`` says. A draw at a time, so memory does not grow with their number.
    """
    moves = belief.move
    means = np.where(pool, belief.mean, -np.inf)
    draws = np.random.default_rng(seed).standard_normal((DRAWS, means.shape[1]))
    best = sum((means + s * moves * z).max(axis=1).mean() for z in draws for s in (1, -1))
    return float(best / (2 * DRAWS) - means.max(axis=1).mean())


def next_batch(
    belief: Belief,
    groups: np.ndarray,
    candidates: np.ndarray,
    prices: np.ndarray,
    size: int,
    prompt_ids: Sequence[str],
    seed: int,
    pool: np.ndarray | None = None,
) -> np.ndarray:
    """Return (b, 2) int: the (prompt, teacher) to ask, the most worth for its price first.

    At most one teacher of each prompt. Each answer of a teacher in a group, of this batch too,
    makes the next one there worth less.

    Args:
        groups: (n,) int, the prompts'.
        candidates: (n, K) bool, what may be asked.
        prices: (K,) expected tokens of an answer.
        size: b at most.
        pool: (K,) bool, the teachers not dropped, of which some may have been asked everything;
            None: those that may be asked.
    """
    rows, columns = np.nonzero(candidates)
    rivals = np.asarray(candidates.any(axis=0)) if pool is None else pool
    worth = (knowledge_gradient(belief, rivals) / prices)[rows, columns]
    draws = [
        unit_draw(seed, "adaptive", f"{prompt_ids[i]}:{k}")
        for i, k in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
    order = np.lexsort((draws, -worth))
    rows, columns, worth = rows[order], columns[order], worth[order]
    cells = groups[rows] * candidates.shape[1] + columns
    nth = np.zeros(len(cells))
    for cell in np.unique(cells):
        nth[cells == cell] = np.arange((cells == cell).sum())
    left = worth / (1 + nth / (1 + belief.answers[rows, columns]))
    order = np.argsort(-left, kind="stable")
    order = order[np.sort(np.unique(rows[order], return_index=True)[1])][:size]
    return np.stack([rows[order], columns[order]], axis=1)
