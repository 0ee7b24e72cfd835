"""What a router could gain at most, from calibration answers alone: will routing pay?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from persyn_kedro.domain.intervals.bootstrap import mean_over_prompts
from persyn_kedro.domain.rewards.reward import NOT_ASKED, TIE
from persyn_kedro.domain.routers.metrics import constant_ranking, measurable, oracles


def routing_prospects(
    rewards: np.ndarray,
    tokens: np.ndarray,
    teachers: Sequence[str],
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Any] | None:
    """Return the spread of a pool and the room that it leaves to a router; None without a prompt.

    Only prompts with two valid teachers count, and an invalid answer is worth 0.

    Args:
        rewards: (n, K), NaN if invalid, of a complete design.
        tokens: (n, K), what each answer took.

    Returns:
        dict: ``n``; ``constant``, the teacher with the best mean reward; ``room``, what the best
        teacher of each prompt has more than it on average, with its interval (a router gains at
        most that); ``elsewhere``, the share of prompts whose best teacher is another one;
        ``spread``, from the lowest to the highest mean reward of a teacher; ``frontier``, the
        teachers of whom no other one has a higher mean reward for no more tokens.

    Raises:
        ValueError: the design is not complete, so that the best of all teachers is not known.
    """
    if (rewards == NOT_ASKED).any():
        raise ValueError("prospects need every teacher's answer to every prompt")
    kept = measurable(rewards)
    if not kept.any():
        return None
    worth = np.nan_to_num(rewards[kept], nan=0.0)
    first = int(constant_ranking(rewards)[0])
    room = worth.max(axis=1) - worth[:, first]
    found = mean_over_prompts(room, resamples, confidence, seed)
    means, costs = worth.mean(axis=0), tokens[kept].mean(axis=0)
    better = (means > means[:, None] + TIE) & (costs <= costs[:, None])
    return {
        "n": int(kept.sum()),
        "constant": teachers[first],
        "room": found.as_dict() if found else None,
        "elsewhere": float(1 - oracles(rewards[kept])[:, first].mean()),
        "spread": float(means.max() - means.min()),
        "frontier": [name for name, own in zip(teachers, better, strict=True) if not own.any()],
    }
