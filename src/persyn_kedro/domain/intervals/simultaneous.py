"""Intervals of several candidates that all hold at once, so that the best of them may be picked."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from persyn_kedro.domain.intervals.bootstrap import resampled_counts

VERSION = 1  # raise it when the same inputs give another result


def joint_level(draws: np.ndarray, confidence: float) -> float:
    """Return the confidence of each of m intervals with which all m cover at once.

    The best of several candidates is often the luckiest: its own interval at ``confidence`` misses
    too often. Max-T with prepivoting (Beran, JASA 83, 1988; Westfall and Young, 1993): each
    candidate's deviations are replaced by their ranks, and the level is the quantile of the
    largest rank of each draw. Candidates that move together so count as one, and at most it is
    Bonferroni's level. It serves intervals of any form, t, score or bootstrap.

    Args:
        draws: (B, m) estimates of the m candidates, resampled together (all from the same prompts,
            seeds or permutation). A candidate that never varies is left out.
        confidence: with which all intervals cover.
    """
    spread = draws.std(axis=0) if draws.size else np.zeros(0)
    varied = draws[:, spread > 1e-12]
    if varied.shape[1] < 2:
        return confidence
    scaled = np.abs(varied - varied.mean(axis=0)) / varied.std(axis=0)
    # The same order breaks ties of all candidates, so that equal ones have equal ranks.
    order = np.argsort(np.round(scaled, 9), axis=0, kind="stable")
    ranks = np.empty(order.shape)
    np.put_along_axis(ranks, order, np.arange(len(draws))[:, None] + 0.5, axis=0)
    level = np.quantile(ranks.max(axis=1) / len(draws), confidence)
    return float(np.clip(level, confidence, 1 - (1 - confidence) / varied.shape[1]))


def joint_level_of_differences(
    scores: Mapping[str, np.ndarray],
    references: Mapping[str, str],
    resamples: int,
    confidence: float,
    seed: int,
) -> float:
    """Return ``joint_level`` of mean differences between students, over seeds and prompts.

    All are drawn on the same prompts; each one's seeds are drawn by themselves, since the luck of a
    training is its own. (Drawn together, three seeds would move all candidates alike, and eight
    independent ones would count as two.)

    Args:
        scores: by name, (seeds, prompts), of the candidates and of what they are compared with.
        references: by candidate, the name of what it is compared with.
    """
    if not references or not scores[next(iter(references))].size:
        return confidence
    once = {own.tobytes(): own for own in scores.values()}  # equal ones are of the same students
    drawn = dict(zip(once, _resampled_means(list(once.values()), resamples, seed), strict=True))
    means = {name: drawn[own.tobytes()] for name, own in scores.items()}
    draws = [means[name] - means[reference] for name, reference in references.items()]
    return joint_level(np.stack(draws, axis=1), confidence)


def _resampled_means(
    scores: Sequence[np.ndarray], resamples: int, seed: int
) -> Iterator[np.ndarray]:
    """Yield the (resamples,) means of each of several students' (seeds, prompts) scores.

    The prompts are drawn twice: once to come to the seeds' draws, which follow theirs, and once to
    use them block by block.
    """
    rng, again = np.random.default_rng(seed), np.random.default_rng(seed)
    prompts = scores[0].shape[1]
    for _ in resampled_counts(prompts, resamples, rng):
        pass
    weights = [np.concatenate([*resampled_counts(len(own), resamples, rng)]) for own in scores]
    found: list[list[np.ndarray]] = [[] for _ in scores]
    start = 0
    for counts in resampled_counts(prompts, resamples, again):
        of_prompts = counts / prompts
        for own, seeds, means in zip(scores, weights, found, strict=True):
            lines = seeds[start : start + len(counts)] / len(own) @ own
            means.append((lines * of_prompts).sum(axis=1))
        start += len(counts)
    yield from map(np.concatenate, found)
