"""How often a reward model prefers the right answer, on prompts that it was not trained on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from persyn_kedro.domain.intervals.bootstrap import ratio_over_prompts

VERSION = 1  # raise it when the same inputs give another result

RESAMPLES = 2000


def preference_accuracy(
    prompt_ids: Sequence[str],
    chosen: Sequence[float | None],
    rejected: Sequence[float | None],
    lengths: Sequence[tuple[int, int]],
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """Return the share of pairs in which the right answer scores higher; a tie counts half.

    Also returned is the share for preferring the shorter answer: a model that learned nothing but
    length does no better. Pairs without both scores are left out. Intervals resample prompts, not
    pairs: the pairs of one prompt are alike.

    Args:
        lengths: characters of the right and the wrong answer.
    """
    kept = [i for i, pair in enumerate(zip(chosen, rejected, strict=True)) if None not in pair]
    margins = np.array([chosen[i] - rejected[i] for i in kept], dtype=np.float64)  # type: ignore[operator]
    shorter = np.array([lengths[i][1] - lengths[i][0] for i in kept], dtype=np.float64)
    owners = [prompt_ids[i] for i in kept]
    return {
        "pairs": len(kept),
        "prompts": len(set(owners)),
        "unscored": len(chosen) - len(kept),
        "confidence": confidence,
        "accuracy": _share(margins, owners, confidence, seed),
        "shorter_is_better": _share(shorter, owners, confidence, seed),
    }


def _share(
    margins: np.ndarray, owners: Sequence[str], confidence: float, seed: int
) -> dict[str, Any] | None:
    if not len(margins):
        return None
    won = (margins > 0) + 0.5 * (margins == 0)
    place = {prompt_id: i for i, prompt_id in enumerate(dict.fromkeys(owners))}
    rows = np.array([place[prompt_id] for prompt_id in owners])
    wins = np.bincount(rows, weights=won, minlength=len(place))
    pairs = np.bincount(rows, minlength=len(place)).astype(np.float64)
    found = ratio_over_prompts(wins, pairs, RESAMPLES, confidence, seed)
    return None if found is None else found.as_dict()
