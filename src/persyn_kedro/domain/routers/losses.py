"""The losses that routers are fitted with (METHOD.md, section 2, *Losses*).

Each is a total over prompts divided by a weight that depends on the rewards alone, so that several
processes' shares of a batch add up to the loss of all of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from persyn_kedro.domain.rewards.reward import TIE, comparable, fitted_rewards

if TYPE_CHECKING:
    import torch

    from persyn_kedro.foundations.settings.routers import TrainRouterSettings

GROUNDED = "grk"  # the one that has a place for prompts without a valid answer
ORDERED = ("bradley_terry", "rao_kupper")  # they only ask which of two rewards is higher
FLOOR = 1e-6  # of a probability that is one minus others
Total = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
Weight = Callable[["torch.Tensor"], "torch.Tensor"]


@dataclass(frozen=True)
class Loss:
    """A loss of (n, K) scores, or (n, K + 1) with ``extra``, given (n, K) rewards, NaN if invalid.

    Attributes:
        total: the sum over pairs, teachers or prompts, differentiable in the scores.
        weight: what the sum is divided by, from the rewards.
        extra: how many more outputs than teachers it reads.
    """

    total: Total
    weight: Weight
    extra: int = 0

    def __call__(self, scores: "torch.Tensor", rewards: "torch.Tensor") -> "torch.Tensor":
        """Return the loss; 0 if nothing can be compared."""
        weight = self.weight(rewards)
        return self.total(scores, rewards) / weight if weight > 0 else scores.sum() * 0.0


def loss_of(settings: Any) -> Loss:
    """Return the loss that the settings of a language model, linear or mlp router ask for."""
    name, t, width = settings.loss_name, settings.temperature, settings.tie
    if name == "regression":
        return Loss(_squared_errors, lambda rewards: rewards.isfinite().sum())
    if name == "softmax_regret":
        return Loss(lambda s, r: _softmax_regret(s, r, t or 1.0), _choices)
    if name == "rao_kupper":
        return Loss(lambda s, r: _rao_kupper(s, r, width), _count_pairs, extra=1)
    if name == GROUNDED:
        return Loss(lambda s, r: _grounded(s, r, width), _count_all_pairs, extra=1)
    if name == "weighted":
        return Loss(_weighted, lambda rewards: _gaps(rewards)[0].abs().nansum())
    if name == "soft":
        return Loss(lambda s, r: _soft(s, r, t or 0.2), _count_pairs)
    return Loss(_bradley_terry, _count_pairs)


def rows_to_fit(rewards: np.ndarray, settings: "TrainRouterSettings") -> np.ndarray:
    """Return (n,) bool: which prompts a router is fitted on, by their (n, K) true rewards.

    Those with two valid teachers after ``invalid``; with ``grk`` all, as no valid answer is an
    outcome too.
    """
    found = comparable(fitted_rewards(rewards, settings.invalid))
    if getattr(settings, "loss", None) == GROUNDED:
        return np.full(len(rewards), bool(found.any()))
    return found


def as_fitted(
    rewards: np.ndarray, settings: "TrainRouterSettings", lowest: float = 0.0
) -> np.ndarray:
    """Return the (n, K) rewards as the loss takes them: what an invalid answer counts as.

    A loss of orders puts it below every valid reward; ``grk`` has outcomes for it, and leaves out
    what was ``NOT_ASKED`` itself.
    """
    name = getattr(settings, "loss_name", None)
    if name == GROUNDED:
        return rewards
    return fitted_rewards(rewards, settings.invalid, -1.0 if name in ORDERED else lowest)


def _pairs(count: int, device: Any) -> tuple["torch.Tensor", "torch.Tensor"]:
    import torch

    a, b = torch.triu_indices(count, count, offset=1, device=device)
    return a, b


def _gaps(rewards: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    """Return each pair's r_b - r_a (n, pairs), NaN if one is invalid, and which are valid."""
    a, b = _pairs(rewards.shape[1], rewards.device)
    gaps = rewards[:, b] - rewards[:, a]
    return gaps, gaps.isfinite()


def _count_pairs(rewards: "torch.Tensor") -> "torch.Tensor":
    valid = rewards.isfinite().sum(dim=1)
    return (valid * (valid - 1) // 2).sum()


def _cross_entropy(
    scores: "torch.Tensor", gaps: "torch.Tensor", targets: "torch.Tensor", weights: Any = None
) -> "torch.Tensor":
    """Return the sum of binary cross-entropies of s_b - s_a over the valid pairs."""
    import torch

    a, b = _pairs(scores.shape[1], scores.device)
    kept = gaps.isfinite()
    return torch.nn.functional.binary_cross_entropy_with_logits(
        (scores[:, b] - scores[:, a])[kept],
        targets.to(scores.dtype)[kept],
        None if weights is None else weights.to(scores.dtype)[kept],
        reduction="sum",
    )


def _wins(gaps: "torch.Tensor") -> "torch.Tensor":
    import torch

    return torch.where(gaps.abs() <= TIE, 0.5, (gaps > 0).to(gaps.dtype))


def _bradley_terry(scores: "torch.Tensor", rewards: "torch.Tensor") -> "torch.Tensor":
    gaps, _ = _gaps(rewards)
    return _cross_entropy(scores, gaps, _wins(gaps))


def _weighted(scores: "torch.Tensor", rewards: "torch.Tensor") -> "torch.Tensor":
    gaps, _ = _gaps(rewards)
    return _cross_entropy(scores, gaps, _wins(gaps), gaps.abs())


def _soft(scores: "torch.Tensor", rewards: "torch.Tensor", temperature: float) -> "torch.Tensor":
    gaps, _ = _gaps(rewards)
    return _cross_entropy(scores, gaps, (gaps / temperature).sigmoid())


def _squared_errors(scores: "torch.Tensor", rewards: "torch.Tensor") -> "torch.Tensor":
    valid = rewards.isfinite()
    return ((scores - rewards.to(scores.dtype))[valid] ** 2).sum()


def _choices(rewards: "torch.Tensor") -> "torch.Tensor":
    return (rewards.isfinite().sum(dim=1) >= 2).sum()


def _softmax_regret(
    scores: "torch.Tensor", rewards: "torch.Tensor", temperature: float
) -> "torch.Tensor":
    valid = rewards.isfinite()
    kept = valid.sum(dim=1) >= 2
    scores, rewards, valid = scores[kept], rewards[kept].to(scores.dtype), valid[kept]
    chances = (scores / temperature).masked_fill(~valid, -float("inf")).softmax(dim=1)
    low = rewards.masked_fill(~valid, -float("inf"))
    regrets = (low.amax(dim=1, keepdim=True) - rewards).masked_fill(~valid, 0.0)
    return (chances * regrets).sum()


def _rao_kupper(scores: "torch.Tensor", rewards: "torch.Tensor", width: float) -> "torch.Tensor":
    import torch

    (a, b), (gaps, kept) = _pairs(rewards.shape[1], rewards.device), _gaps(rewards)
    difference, eta = scores[:, b] - scores[:, a], scores[:, -1:]
    theta = torch.nn.functional.softplus(eta)  # log(1 + e^eta)
    won = torch.nn.functional.logsigmoid(difference - theta)
    lost = torch.nn.functional.logsigmoid(-difference - theta)
    two = torch.full_like(eta, 2.0).log()
    tied = won + lost + eta + torch.logaddexp(two, eta)  # theta^2 - 1 = e^eta (2 + e^eta)
    found = torch.where(gaps.abs() <= width, tied, torch.where(gaps > 0, won, lost))
    return -found[kept].sum()


def _count_all_pairs(rewards: "torch.Tensor") -> "torch.Tensor":
    return _pairs_asked(rewards).sum()


def _pairs_asked(rewards: "torch.Tensor") -> "torch.Tensor":
    """Return (n, pairs) bool: both teachers were asked (a reward is not ``NOT_ASKED``)."""
    (a, b), missing = _pairs(rewards.shape[1], rewards.device), rewards.isneginf()
    return ~missing[:, a] & ~missing[:, b]


def _grounded(scores: "torch.Tensor", rewards: "torch.Tensor", width: float) -> "torch.Tensor":
    import torch

    a, b = _pairs(rewards.shape[1], rewards.device)
    valid = rewards.isfinite()
    both_bad = ~valid[:, a] & ~valid[:, b]
    low = torch.where(valid, rewards, -float("inf"))  # an invalid answer loses to a valid one
    gaps = torch.where(both_bad, 0.0, low[:, b] - low[:, a])
    first, second = scores[:, a], scores[:, b]
    theta, ground = torch.nn.functional.softplus(scores[:, -1:]), torch.zeros_like(first)

    def log_share(own: "torch.Tensor", *others: "torch.Tensor") -> "torch.Tensor":
        return own - torch.stack([own, *others]).logsumexp(dim=0)

    won = log_share(second, theta + first, ground)
    lost = log_share(first, theta + second, ground)
    bad = log_share(ground, first, second)
    tied = (1 - won.exp() - lost.exp() - bad.exp()).clamp(min=FLOOR).log()
    found = torch.where(gaps.abs() <= width, tied, torch.where(gaps > 0, won, lost))
    return -torch.where(both_bad, bad, found)[_pairs_asked(rewards)].sum()
