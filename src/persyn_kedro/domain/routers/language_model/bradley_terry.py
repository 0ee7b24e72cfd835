"""The router's loss: Bradley-Terry over all pairs of teachers of every prompt (METHOD.md, 2)."""

from typing import TYPE_CHECKING

from persyn_kedro.domain.rewards.reward import TIE

if TYPE_CHECKING:
    import torch


def bradley_terry_loss(scores: "torch.Tensor", rewards: "torch.Tensor") -> "torch.Tensor":
    """Return the binary cross-entropy, in nats, averaged over all valid pairs.

    P(B better than A) = sigmoid(score_B - score_A); the target is 1 if B's reward is higher, 0 if
    lower, 1/2 on a tie. ``scores`` is (n, K); ``rewards`` is (n, K) float64, NaN if invalid,
    which excludes its pairs. Without any pair the loss is 0.
    """
    import torch

    count = scores.shape[1]
    a, b = torch.triu_indices(count, count, offset=1, device=scores.device)
    difference = rewards[:, b] - rewards[:, a]
    paired = difference.isfinite()
    target = torch.where(difference.abs() <= TIE, 0.5, (difference > 0).to(scores.dtype))
    if not paired.any():
        return scores.sum() * 0.0
    return torch.nn.functional.binary_cross_entropy_with_logits(
        (scores[:, b] - scores[:, a])[paired], target.to(scores.dtype)[paired]
    )


def count_pairs(rewards: "torch.Tensor") -> int:
    """Return the number of pairs that ``bradley_terry_loss`` averages over, for (n, K) rewards."""
    valid = rewards.isfinite().sum(dim=1)
    return int((valid * (valid - 1) // 2).sum())
