"""The vectorised loss against a plain loop over pairs."""

import math

import pytest
import torch
from persyn_kedro.domain.routers.language_model.bradley_terry import bradley_terry_loss

NAN = float("nan")


def loop_loss(scores, rewards):
    losses = []
    for row, reward in zip(scores, rewards.tolist(), strict=True):
        for a in range(len(reward)):
            for b in range(a + 1, len(reward)):
                if math.isnan(reward[a]) or math.isnan(reward[b]):
                    continue
                gap = reward[b] - reward[a]
                target = 0.5 if abs(gap) <= 1e-9 else float(gap > 0)
                wins = torch.sigmoid(row[b] - row[a])
                losses.append(-target * wins.log() - (1 - target) * (1 - wins).log())
    return torch.stack(losses).mean()


@pytest.mark.parametrize(
    "rewards",
    [
        [[0.1, 0.7, 0.4, 1.0], [0.9, 0.2, 0.3, 0.0]],
        [[0.5, 0.5, 0.5, 1.0], [0.2, 0.2 + 5e-10, 0.2 + 5e-9, 0.0]],
        [[NAN, 0.7, 0.4, NAN], [NAN, 0.2, NAN, NAN], [0.3, 0.1, 0.3, NAN]],
    ],
)
def test_value_and_gradient_match_the_loop(rewards):
    target = torch.tensor(rewards, dtype=torch.float64)
    torch.manual_seed(0)
    scores = torch.randn(target.shape, dtype=torch.float64, requires_grad=True)
    loss, expected = bradley_terry_loss(scores, target), loop_loss(scores, target)
    torch.testing.assert_close(loss, expected)
    gradient, expected_gradient = (torch.autograd.grad(x, scores)[0] for x in (loss, expected))
    torch.testing.assert_close(gradient, expected_gradient)
    assert torch.all(gradient[target.isnan()] == 0)


def test_hand_values():
    scores = torch.tensor([[0.0, 2.0]])
    higher, tied = torch.tensor([[[0.0, 1.0]], [[0.3, 0.3]]], dtype=torch.float64)
    assert bradley_terry_loss(scores, higher).item() == pytest.approx(math.log(1 + math.exp(-2)))
    both = math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))
    assert bradley_terry_loss(scores, tied).item() == pytest.approx(both / 2)


def test_no_pair_is_zero_without_gradient():
    scores = torch.ones(2, 3, requires_grad=True)
    rewards = torch.tensor([[NAN, 0.1, NAN], [NAN, NAN, NAN]], dtype=torch.float64)
    loss = bradley_terry_loss(scores, rewards)
    loss.backward()
    assert loss.item() == 0
    assert torch.all(scores.grad == 0)


def test_extreme_scores_stay_finite():
    scores = torch.tensor([[-1e4, 1e4]], requires_grad=True)
    rewards = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    loss = bradley_terry_loss(scores, rewards)
    loss.backward()
    assert loss.item() == pytest.approx(2e4)
    assert torch.all(scores.grad.isfinite())
