"""The vectorised losses against plain loops: value and gradient, ties, invalid answers, shares."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from persyn_kedro.domain.routers.losses import as_fitted, loss_of, rows_to_fit
from persyn_kedro.foundations.settings.routers import TrainRouterSettings

NAN = float("nan")
TIE, WIDTH = 1e-9, 0.05
LOSSES = [
    "bradley_terry", "weighted", "soft", "softmax_regret", "regression", "rao_kupper", "grk",
]  # fmt: skip


def settings(name: str, **more: object) -> TrainRouterSettings:
    return TrainRouterSettings(kind="linear", loss=name, **more)


def pairs(reward: list[float]) -> list[tuple[int, int]]:
    count = range(len(reward))
    return [(a, b) for a in count for b in count if a < b]


def of_pair(name: str, row: torch.Tensor, a: int, b: int, r: list[float]) -> tuple:
    """Return the loss of one pair and its weight, straight from METHOD.md."""
    gap, bad = r[b] - r[a], [math.isnan(r[a]), math.isnan(r[b])]
    wins, ratio = torch.sigmoid(row[b] - row[a]), torch.exp(row[b] - row[a])
    entropy = lambda p: -p * wins.log() - (1 - p) * (1 - wins).log()  # noqa: E731
    if name == "grk":
        theta, up, down = 1 + torch.exp(row[-1]), torch.exp(row[b]), torch.exp(row[a])
        b_wins, a_wins = up / (up + theta * down + 1), down / (down + theta * up + 1)
        both_bad = 1 / (1 + up + down)
        if all(bad):
            return -both_bad.log(), 1.0
        if not any(bad) and abs(gap) <= WIDTH:
            return -(1 - b_wins - a_wins - both_bad).log(), 1.0
        return -(b_wins if bad[0] or gap > 0 else a_wins).log(), 1.0
    if any(bad):
        return torch.zeros(()), 0.0
    if name == "rao_kupper":
        theta = 1 + torch.exp(row[-1])
        b_wins, a_wins = ratio / (ratio + theta), 1 / (1 + theta * ratio)
        if abs(gap) <= WIDTH:
            return -(1 - b_wins - a_wins).log(), 1.0
        return -(b_wins if gap > 0 else a_wins).log(), 1.0
    if name == "soft":
        return entropy(1 / (1 + math.exp(-gap / 0.2))), 1.0
    target = 0.5 if abs(gap) <= TIE else float(gap > 0)
    if name == "weighted":
        return abs(gap) * entropy(target), abs(gap)
    return entropy(target), 1.0


def by_loop(name: str, scores: torch.Tensor, rewards: torch.Tensor) -> torch.Tensor:
    total, weight = torch.zeros((), dtype=torch.float64), 0.0
    for row, reward in zip(scores, rewards.tolist(), strict=True):
        valid = [k for k, r in enumerate(reward) if not math.isnan(r)]
        if name == "regression":
            total = total + sum((row[k] - reward[k]) ** 2 for k in valid)
            weight += len(valid)
        elif name == "softmax_regret":
            if len(valid) >= 2:
                powers = {k: torch.exp(row[k]) for k in valid}
                best = max(reward[k] for k in valid)
                regrets = [powers[k] / sum(powers.values()) * (best - reward[k]) for k in valid]
                total, weight = total + sum(regrets), weight + 1
        else:
            for a, b in pairs(reward):
                own, counts = of_pair(name, row, a, b, reward)
                total, weight = total + own, weight + counts
    return total / weight


CASES = [
    [[0.1, 0.7, 0.4, 1.0], [0.9, 0.2, 0.3, 0.0]],
    [[0.5, 0.5, 0.5, 1.0], [0.2, 0.2 + 5e-10, 0.23, 0.0]],  # tied, and nearly
    [[NAN, 0.7, 0.4, NAN], [NAN, 0.2, NAN, NAN], [0.3, 0.1, 0.3, NAN]],
]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("rewards", CASES)
def test_value_and_gradient_match_the_loop(name: str, rewards: list) -> None:
    target, loss = torch.tensor(rewards, dtype=torch.float64), loss_of(settings(name))
    torch.manual_seed(0)
    shape = (len(rewards), 4 + loss.extra)
    scores = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    found, expected = loss(scores, target), by_loop(name, scores, target)
    torch.testing.assert_close(found, expected)
    (gradient,) = torch.autograd.grad(found, scores)
    (wanted,) = torch.autograd.grad(expected, scores)
    torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize("name", LOSSES)
def test_shares_of_a_batch_add_up_to_its_loss(name: str) -> None:
    rewards = torch.tensor(CASES[2], dtype=torch.float64)
    loss = loss_of(settings(name))
    scores = torch.linspace(-1, 1, 3 * (4 + loss.extra), dtype=torch.float64).reshape(3, -1)
    parts = [loss.total(scores[own], rewards[own]) for own in ([0, 2], [1])]
    torch.testing.assert_close(sum(parts) / loss.weight(rewards), loss(scores, rewards))


@pytest.mark.parametrize("name", [n for n in LOSSES if n not in ("grk", "regression")])
def test_nothing_to_compare_is_zero_without_gradient(name: str) -> None:
    loss = loss_of(settings(name))
    scores = torch.ones(2, 3 + loss.extra, requires_grad=True)
    rewards = torch.tensor([[NAN, 0.1, NAN], [NAN, NAN, NAN]], dtype=torch.float64)
    found = loss(scores, rewards)
    found.backward()
    assert found.item() == 0
    assert torch.all(scores.grad == 0)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [40.0, 1e4])
def test_extreme_scores_stay_finite(name: str, size: float) -> None:
    loss = loss_of(settings(name))
    start = [[-size, size, *([-size] * loss.extra)]]
    scores = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    for rewards in ([[1.0, 0.0]], [[0.5, 0.5]]):
        found = loss(scores, torch.tensor(rewards, dtype=torch.float64))
        (gradient,) = torch.autograd.grad(found, scores)
        assert found.isfinite() and gradient.isfinite().all()


def test_a_higher_reward_is_a_win_and_equal_ones_are_half_each() -> None:
    loss, scores = loss_of(settings("bradley_terry")), torch.tensor([[0.0, 2.0]])
    higher, tied = torch.tensor([[[0.0, 1.0]], [[0.3, 0.3]]], dtype=torch.float64)
    assert loss(scores, higher).item() == pytest.approx(math.log(1 + math.exp(-2)))
    both = math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))
    assert loss(scores, tied).item() == pytest.approx(both / 2)


def test_outcomes_of_a_pair_are_all_there_are() -> None:
    """Rao-Kupper's three probabilities and grk's four add up to 1."""
    outcomes: dict[str, list[list[float]]] = {
        "rao_kupper": [[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]],
        "grk": [[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [NAN, NAN]],
    }
    scores = torch.tensor([[0.3, -0.8, 0.4]], dtype=torch.float64)
    for name, cases in outcomes.items():
        loss = loss_of(settings(name))
        logs = [loss(scores, torch.tensor([r], dtype=torch.float64)) for r in cases]
        assert sum(math.exp(-value.item()) for value in logs) == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "invalid", "expected"),
    [
        ("bradley_terry", "lose", -1.0),  # below every valid reward: only orders count
        ("rao_kupper", "lose", -1.0),
        ("weighted", "lose", 0.0),  # as in the metrics
        ("regression", "lose", 0.0),
        ("weighted", "leave_out", NAN),
        ("grk", "lose", NAN),  # it has outcomes for them
    ],
)
def test_what_an_invalid_answer_counts_as(name: str, invalid: str, expected: float) -> None:
    rewards = np.array([[0.5, NAN], [NAN, NAN]])
    found = as_fitted(rewards, settings(name, invalid=invalid))
    np.testing.assert_array_equal(found, [[0.5, expected], [NAN, NAN]])


def test_only_grk_is_fitted_on_prompts_without_a_valid_answer() -> None:
    rewards = np.array([[0.5, 0.1], [NAN, NAN], [0.3, NAN]])
    rows: Callable[..., list[bool]] = lambda *a: rows_to_fit(rewards, settings(*a)).tolist()  # noqa: E731
    assert rows("weighted") == [True, False, False]
    assert rows_to_fit(rewards, settings("weighted", invalid="lose")).tolist() == [1, 0, 1]
    assert rows("grk") == [True, True, True]
    assert not rows_to_fit(rewards[1:], settings("grk")).any()  # nothing valid to compare


def test_a_wide_tie_has_a_finite_gradient() -> None:
    """log(2 + e^eta) is computed without e^eta, which overflows (float32: beyond 88)."""
    loss = loss_of(TrainRouterSettings(kind="linear", loss="rao_kupper"))
    for eta in (100.0, 1000.0):
        scores = torch.tensor([[0.2, 0.1, eta]], dtype=torch.float32, requires_grad=True)
        value = loss(scores, torch.tensor([[0.5, 0.5]]))
        value.backward()
        assert value.item() == pytest.approx(0.0, abs=1e-3)  # a tie is certain
        assert scores.grad is not None and torch.isfinite(scores.grad).all()
