"""Would more calibration pay? The learning curve, extrapolated (METHOD.md, section 2).

Fitted to the mean losses at each size n: a + b / sqrt(n), the rate of an estimated mean. The saving
of twice the prompts, b (1 / sqrt(n) - 1 / sqrt(2 n)), is linear in the losses, so that it is a mean
over prompts with the interval of one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.foundations.settings.spending import Prices

WORTH = 100  # answers that a reward of 1 is worth, as label.design.adaptive.reward_worth


@dataclass(frozen=True)
class Spent:
    """What calibration took: answers, tokens of prompts and answers, and their cost."""

    answers: int
    tokens: float
    cost: float


def calibration_spent(responses: pa.Table, prices: Mapping[str, Prices]) -> Spent:
    """Return what the pool's answers (``schemas.RESPONSES``) took, whenever they were paid for.

    ``prices``: by teacher. Answers of teachers that are no longer in the pool are left out, as in
    the rewards.
    """
    responses = responses.filter(pc.field("teacher").isin(list(prices)))
    tokens, cost = 0.0, 0.0
    names = ["teacher", "prompt_tokens", "completion_tokens", "cached_prompt_tokens"]
    for row in responses.select(names).to_pylist():
        used = row["prompt_tokens"], row["completion_tokens"], row["cached_prompt_tokens"] or 0
        tokens += used[0] + used[1]
        cost += prices[row["teacher"]].cost(*used)
    return Spent(len(responses), tokens, cost)


def saving_of_doubling(losses: np.ndarray, fitted_on: Sequence[float]) -> np.ndarray | None:
    """Return (n,) values whose mean is the loss that twice the largest size is expected to save.

    Args:
        losses: (n, S) of each prompt, by a router fitted on each size.
        fitted_on: (S,) prompts.

    Returns:
        None with fewer than two different sizes.
    """
    rate = 1 / np.sqrt(np.asarray(fitted_on, np.float64))
    if len(set(fitted_on)) < 2:
        return None
    slope = np.linalg.pinv(np.stack([np.ones_like(rate), rate], axis=1))[1]
    return losses @ slope * rate.min() * (1 - 0.5**0.5)


def doubling_words(kind: str, saving: Mapping[str, Any], spent: Spent) -> str:
    """Say what twice the calibration would take and save, and from when on it pays."""
    value, (low, high) = saving["value"], saving["interval"]
    money = f", cost {spent.cost:.2f}" if spent.cost else ""
    told = (
        f"Twice the calibration prompts ({spent.answers} more answers, {spent.tokens:.0f} tokens"
        f"{money}) are expected to save the {kind.replace('_', '-')} router {value:.4f} "
        f"[{low:+.4f}, {high:+.4f}] of regret on each routed prompt"
    )
    if low <= 0:
        return f"{told}: not shown to be more than nothing, so more calibration is not advised."
    return (
        f"{told}: that pays from about {spent.answers / (WORTH * value):.0f} routed prompts on, if "
        f"{1 / WORTH:g} of reward on a prompt is worth an answer."
    )
