"""What answers say of each teacher's reward for each prompt (METHOD.md, section 1, "Designs").

SAVERouter's scheme (arXiv 2609.37402): a prior of groups of prompts x teachers, shrunk to the
teachers' means, and a ridge regression on what it leaves.
"""

from dataclasses import dataclass

import numpy as np

from persyn_kedro.domain.rewards.reward import fitted_rewards

FEWEST = 8  # answers of a teacher before a regression is fitted on them


@dataclass(frozen=True)
class Belief:
    """Expected rewards and how sure they are; (n, K) each.

    Attributes:
        mean: of each prompt and teacher.
        error: the standard error of ``mean``: of the teacher's mean in the prompt's group, and of
            the regression.
        answers: how many the teacher gave in the prompt's group.
        move: the standard deviation of what the next batch is expected to change in ``mean``.
    """

    mean: np.ndarray
    error: np.ndarray
    answers: np.ndarray
    move: np.ndarray

    def of(self, prompts: np.ndarray) -> "Belief":
        """Return that of some prompts: (n,) bool, or indices."""
        return Belief(*(a[prompts] for a in (self.mean, self.error, self.answers, self.move)))


def similar_prompts(points: np.ndarray, groups: int, seed: int) -> np.ndarray:
    """Return the (n,) group of each prompt: k-means of the standardised (n, d) embeddings."""
    from sklearn.cluster import KMeans

    scaled = _standardised(points)
    count = min(groups, len(np.unique(scaled, axis=0)))
    return KMeans(count, n_init=10, random_state=seed).fit_predict(scaled)


def believe(
    points: np.ndarray, groups: np.ndarray, rewards: np.ndarray, shrinkage: float, more: float
) -> Belief:
    """Return what the rewards say, also of prompts and teachers without an answer.

    Rewards are levelled (``fitted_rewards``), so that it does not matter how hard the prompts were
    that a teacher was asked; an invalid answer is worth 0.

    Args:
        points: (n, d) embeddings.
        groups: (n,) int, from 0.
        rewards: (n, K), NaN if invalid, ``NOT_ASKED`` if not asked.
        shrinkage: answers that a teacher's mean counts for in the mean of a group.
        more: answers of the next batch, as a share of those so far.
    """
    fitted = fitted_rewards(rewards, "lose", 0.0)
    known = np.isfinite(fitted)
    members = np.eye(groups.max() + 1)[groups]  # (n, G)
    counts, sums = members.T @ known, members.T @ np.where(known, fitted, 0.0)  # (G, K)
    # A teacher's mean weighs groups by their prompts, not by how often it was asked there.
    weights = members.mean(axis=0)[:, None] / (counts + shrinkage)
    total = (weights * counts).sum(axis=0)
    means = np.where(total > 0, (weights * sums).sum(axis=0) / np.where(total > 0, total, 1.0), 0.0)
    prior = ((sums + shrinkage * means) / (counts + shrinkage))[groups]
    rest = np.where(known, fitted - prior, np.nan)
    spread = float(np.nanvar(rest)) if known.any() else 0.0
    own = np.maximum(known.sum(axis=0), 1)
    of_groups = spread * (1 / (counts[groups] + shrinkage) + 1 / own)
    regressed, variance, later = _regressed(_standardised(points), rest, 1 + more)
    return Belief(
        prior + regressed,
        np.sqrt(of_groups + variance),
        counts[groups],
        np.sqrt(of_groups * more / (1 + more) + variance - later),
    )


def _regressed(
    points: np.ndarray, rest: np.ndarray, growth: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what a ridge regression of each teacher says of the rest of its rewards, (n, K) each.

    Its prediction, its variance as the posterior of a normal prior whose precision is the penalty
    (the noise is that of predictions of answers left out), and that variance with ``growth`` times
    as many answers like those so far.
    """
    from sklearn.linear_model import RidgeCV

    found, variance, later = (np.zeros(rest.shape) for _ in range(3))
    for k in range(rest.shape[1]):
        rows = np.isfinite(rest[:, k])
        if rows.sum() >= FEWEST:
            ridge = RidgeCV(alphas=np.logspace(1, 6, 11)).fit(points[rows], rest[rows, k])
            found[:, k] = ridge.predict(points)
            middle = points[rows].mean(axis=0)
            _, sizes, axes = np.linalg.svd(points[rows] - middle, full_matrices=False)
            along = ((points - middle) @ axes.T) ** 2
            beside = np.maximum(((points - middle) ** 2).sum(axis=1) - along.sum(axis=1), 0.0)
            noise = -ridge.best_score_
            for into, times in ((variance, 1.0), (later, growth)):
                own = along @ (1 / (times * sizes**2 + ridge.alpha_))
                into[:, k] = noise * (own + beside / ridge.alpha_)
    return found, variance, later


def _standardised(points: np.ndarray) -> np.ndarray:
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit_transform(np.asarray(points, np.float64))
