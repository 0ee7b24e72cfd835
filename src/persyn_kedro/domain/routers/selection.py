"""Choose a router by cross-validated regret, with an honest figure for the choice itself.

METHOD.md, section 2, *Choosing a router*: nested cross-validation (Varma and Simon, 2006).
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from persyn_kedro.domain.intervals.bootstrap import mean_over_prompts
from persyn_kedro.domain.rewards.reward import NOT_ASKED, TIE
from persyn_kedro.domain.routers.metrics import corrected, mean_rewards, measurable, reward_gaps
from persyn_kedro.foundations.prompts.conversation import Prompt

CONSTANT = "constant"
CONFIDENCE, RESAMPLES = 0.95, 2000

Scores = Callable[[str, list[Prompt], np.ndarray, list[Prompt], np.ndarray | None], np.ndarray]


def select(
    prompts: Sequence[Prompt],
    rewards: np.ndarray,
    names: Sequence[str],
    scores: Scores,
    folds: int,
    seed: int,
    fair: np.ndarray | None = None,
) -> dict[str, Any]:
    """Return which candidate to take and how all of them did, JSON-able.

    Args:
        rewards: (n, K), NaN if invalid, ``NOT_ASKED`` if not asked.
        names: the candidates, the constant first.
        fair: (n, K), the rewards of what was asked at random alone: choices are measured, and the
            constant is fitted, by these; None: by all.
        scores: of a candidate fitted on prompts and rewards, the (m, K) scores of other prompts;
            last, which of the rewards were asked at random, as ``TeacherRouter.at_random``.

    Returns:
        dict: ``chosen``; ``because``: ``best``, ``constant`` (nothing beats it) or ``few`` (too few
        prompts to compare); ``n`` compared prompts, ``folds``, ``confidence``; ``candidates``, by
        name their ``regret`` and ``to_constant``, the mean difference from the constant's, with
        intervals; ``nested``, the same for whichever candidate is chosen without the prompts that
        it is measured on; ``chosen_in_folds``, how often that was which.
    """
    random = None if fair is None or fair is rewards else fair != NOT_ASKED
    fair = rewards if fair is None else fair
    kept = np.flatnonzero(measurable(fair))
    folds = min(folds, len(kept) // 4)
    found = {"chosen": CONSTANT, "n": len(kept), "folds": folds, "confidence": CONFIDENCE}
    if folds < 3:
        return {**found, "because": "few", "candidates": {}, "nested": None}
    asked, true, fair = [prompts[i] for i in kept.tolist()], rewards[kept], fair[kept]
    random = None if random is None else random[kept]
    place = np.random.default_rng(seed).permutation(len(kept)) % folds

    losses = _losses(fair)

    def regrets(name: str, out: np.ndarray) -> np.ndarray:
        """Return (n,) regrets of a fit without the prompts ``out``, NaN elsewhere."""
        inside = [p for p, is_out in zip(asked, out, strict=True) if not is_out]
        outside = [p for p, is_out in zip(asked, out, strict=True) if is_out]
        given = (fair if name == CONSTANT else true)[~out]
        by_chance = None if random is None else random[~out]
        choices = scores(name, inside, given, outside, by_chance).argmax(axis=1)
        own = np.full(len(asked), np.nan)
        own[out] = losses[out][np.arange(len(outside)), choices]
        return own

    single = {n: np.nansum([regrets(n, place == f) for f in range(folds)], axis=0) for n in names}
    inner = np.zeros((folds, len(names)))  # the sums of regrets outside a fold, fitted without it
    for i, name in enumerate(names):
        for f, g in combinations(range(folds), 2):
            own = regrets(name, (place == f) | (place == g))
            inner[f, i] += own[place == g].sum()
            inner[g, i] += own[place == f].sum()
    winners = [names[_least(row)] for row in inner]
    nested = np.choose(place, [single[winner] for winner in winners])
    best = names[_least(np.array([single[name].sum() for name in names]))]
    beats = best != CONSTANT and (nested - single[CONSTANT]).mean() < -TIE
    return {
        **found,
        "chosen": best if beats else CONSTANT,
        "because": "best" if beats else "constant",
        "candidates": {n: _figures(own, single[CONSTANT], seed) for n, own in single.items()},
        "nested": _figures(nested, single[CONSTANT], seed),
        "chosen_in_folds": {name: winners.count(name) for name in dict.fromkeys(winners)},
    }


def _losses(rewards: np.ndarray) -> np.ndarray:
    """Return (n, K): what choosing each teacher loses to the best of those asked.

    Of an incomplete design by the corrected rewards, so a teacher not asked has its estimate.
    """
    if (rewards != NOT_ASKED).all():
        return reward_gaps(rewards)
    best = np.where(np.isfinite(rewards), rewards, 0.0).max(axis=1, keepdims=True)
    return best - corrected(rewards, mean_rewards(rewards))


def _least(sums: np.ndarray) -> int:
    """Return the first place whose value ties with the least."""
    return int(np.flatnonzero(sums <= sums.min() + TIE)[0])


def _figures(regrets: np.ndarray, constant: np.ndarray, seed: int) -> Mapping[str, Any]:
    means = {"regret": regrets, "to_constant": regrets - constant}
    found = {n: mean_over_prompts(v, RESAMPLES, CONFIDENCE, seed) for n, v in means.items()}
    return {name: estimate.as_dict() for name, estimate in found.items() if estimate}
