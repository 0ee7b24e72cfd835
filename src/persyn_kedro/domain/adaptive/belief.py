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
        error: the standard error of the teacher's mean in the prompt's group.
        answers: how many the teacher gave in the prompt's group.
    """

    mean: np.ndarray
    error: np.ndarray
    answers: np.ndarray

    def of(self, prompts: np.ndarray) -> "Belief":
        """Return that of some prompts: (n,) bool, or indices."""
        return Belief(self.mean[prompts], self.error[prompts], self.answers[prompts])


def similar_prompts(points: np.ndarray, groups: int, seed: int) -> np.ndarray:
    """Return the (n,) group of each prompt: k-means of the standardised (n, d) embeddings."""
    from sklearn.cluster import KMeans

    scaled = _standardised(points)
    count = min(groups, len(np.unique(scaled, axis=0)))
    return KMeans(count, n_init=10, random_state=seed).fit_predict(scaled)


def believe(
    points: np.ndarray, groups: np.ndarray, rewards: np.ndarray, shrinkage: float
) -> Belief:
    """Return what the rewards say, also of prompts and teachers without an answer.

    Rewards are levelled (``fitted_rewards``), so that it does not matter how hard the prompts were
    that a teacher was asked; an invalid answer is worth 0.

    Args:
        points: (n, d) embeddings.
        groups: (n,) int, from 0.
        rewards: (n, K), NaN if invalid, ``NOT_ASKED`` if not asked.
        shrinkage: answers that a teacher's mean counts for in the mean of a group.
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
    error = np.sqrt(spread * (1 / (counts[groups] + shrinkage) + 1 / own))
    return Belief(prior + _regressed(_standardised(points), rest), error, counts[groups])


def _regressed(points: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Return (n, K): what a ridge regression of each teacher says of the rest of its rewards."""
    from sklearn.linear_model import RidgeCV

    found = np.zeros(rest.shape)
    for k in range(rest.shape[1]):
        rows = np.isfinite(rest[:, k])
        if rows.sum() >= FEWEST:
            ridge = RidgeCV(alphas=np.logspace(1, 6, 11)).fit(points[rows], rest[rows, k])
            found[:, k] = ridge.predict(points)
    return found


def _standardised(points: np.ndarray) -> np.ndarray:
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit_transform(np.asarray(points, np.float64))
