"""Small networks fitted to points with any of the routers' losses, and the spread of their scores.

A network is its layers: weights (out, in) and biases (out,), with tanh between two layers; one
layer is a linear function. The fit is deterministic: L-BFGS on all prompts in double precision.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from persyn_kedro.domain.routers.losses import Loss

Layers = list[tuple[np.ndarray, np.ndarray]]
Again = Callable[[np.ndarray, np.ndarray], Layers]  # the same fit of other points and rewards

RIDGES = (1e4, 1e3, 1e2, 1e1)  # to choose from
FOLDS = 5  # to choose on
GROUPS = 10  # of the jackknife
STEPS = 100  # of L-BFGS, at most


def outputs(layers: Layers, points: np.ndarray) -> np.ndarray:
    """Return the (n, out) float64 outputs at (n, d) points.

    Layers of several networks, with one more axis in front, give (networks, n, out).
    """
    found = points
    for i, (weights, biases) in enumerate(layers):
        found = np.tanh(found) if i else found
        found = found @ weights.swapaxes(-1, -2) + biases[..., None, :]
    return found


@dataclass(frozen=True)
class Network:
    """How a network is fitted.

    Attributes:
        loss: of its outputs, of which the first K are scores.
        hidden: units of a hidden layer; None: none.
        seed: draws the hidden weights at the start; all others start at 0.
    """

    loss: Loss
    hidden: int | None = None
    seed: int = 0

    def solve(
        self, points: np.ndarray, rewards: np.ndarray, ridge: float | None = None
    ) -> tuple[Layers, Again]:
        """Return the fitted layers, and how to fit some of the prompts in the same way.

        Args:
            ridge: None: chosen on prompts left out.
        """
        basis = _row_space(points)  # the penalty keeps the weights in it
        inner = points @ basis
        chosen = ridge or self.choose_ridge(inner, rewards)
        whole = self.fit(inner, rewards, chosen)

        def again(x: np.ndarray, r: np.ndarray) -> Layers:
            return _outside(self.fit(x @ basis, r, chosen, whole), basis)

        return _outside(whole, basis), again

    def fit(
        self, points: np.ndarray, rewards: np.ndarray, ridge: float, start: Layers | None = None
    ) -> Layers:
        """Minimise loss + ridge / (2 n) · (the sum of all squared weights); biases are free.

        Args:
            points: (n, d) float64.
            rewards: (n, K) float64, NaN if invalid.
            start: a solution near this one.
        """
        import torch
        from scipy.optimize import minimize

        x, r = (torch.tensor(a, dtype=torch.float64) for a in (points, rewards))
        begin = [a for layer in start or self._start(points, rewards) for a in layer]
        cuts = np.cumsum([part.size for part in begin])[:-1]

        def parts(flat: np.ndarray) -> list[np.ndarray]:
            return [p.reshape(b.shape) for p, b in zip(np.split(flat, cuts), begin, strict=True)]

        def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
            own = [torch.tensor(part, requires_grad=True) for part in parts(flat)]
            found = x
            for i in range(0, len(own), 2):
                found = torch.nn.functional.linear(found.tanh() if i else found, *own[i : i + 2])
            penalty = torch.stack([(weights**2).sum() for weights in own[::2]]).sum()
            total = self.loss(found, r) + ridge / (2 * len(points)) * penalty
            return total.item(), torch.cat(
                [g.ravel() for g in torch.autograd.grad(total, own)]
            ).numpy()

        flat = np.concatenate([part.ravel() for part in begin])
        best = parts(
            minimize(value, flat, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
        )
        return list(zip(best[::2], best[1::2], strict=True))

    def choose_ridge(self, points: np.ndarray, rewards: np.ndarray) -> float:
        """Return the one of ``RIDGES`` with the least loss on prompts left out."""
        import torch

        if len(points) < FOLDS:
            return RIDGES[1]
        losses = np.zeros(len(RIDGES))
        for out in _parts(len(points), FOLDS):
            layers: Layers | None = None
            targets = torch.tensor(rewards[out])
            for i, ridge in enumerate(RIDGES):
                near = layers if self.hidden is None else None  # hidden units may have gone to 0
                layers = self.fit(points[~out], rewards[~out], ridge, near)
                found = torch.tensor(outputs(layers, points[out]))
                losses[i] += float(self.loss(found, targets))
        return RIDGES[int(losses.argmin())]

    def _start(self, points: np.ndarray, rewards: np.ndarray) -> Layers:
        width, out = points.shape[1], rewards.shape[1] + self.loss.extra
        if self.hidden is None:
            return [(np.zeros((out, width)), np.zeros(out))]
        rng = np.random.default_rng(self.seed)
        drawn = rng.normal(0, width**-0.5, (self.hidden, width))
        return [(drawn, np.zeros(self.hidden)), (np.zeros((out, self.hidden)), np.zeros(out))]


def without_groups(points: np.ndarray, rewards: np.ndarray, again: Again) -> Layers:
    """Return the layers of the scores of fits without each group of the prompts, stacked.

    Fewer prompts than ``GROUPS`` are a group each; one alone cannot be left out.
    """
    count = len(points)
    masks = _parts(count, min(GROUPS, count)) if count > 1 else ()
    fits = [scores_of(again(points[~out], rewards[~out]), rewards.shape[1]) for out in masks]
    return [
        (np.stack([w for w, _ in layer]), np.stack([b for _, b in layer]))
        for layer in zip(*fits, strict=True)
    ]


def at_fair_levels(layers: Layers, points: np.ndarray, fair: np.ndarray | None) -> Layers:
    """Return the layers with biases at which each score is right on average.

    A fit to answers that were chosen for their merit is too high elsewhere: a penalty draws it to
    their mean. Over answers asked at random the mean error must be 0.

    Args:
        layers: of predicted rewards; of fits without a group each, the mean is without it too.
        fair: (n, K) rewards of what was asked at random, NaN elsewhere; None: nothing was chosen.
    """
    if fair is None or not layers:
        return layers
    *others, (weights, biases) = layers
    rest = fair - outputs(layers, points)
    if biases.ndim > 1:
        for own, out in zip(rest, _parts(len(points), len(biases)), strict=True):
            own[out] = np.nan
    known = np.isfinite(rest)
    counts = np.maximum(known.sum(axis=-2), 1)
    return [*others, (weights, biases + np.where(known, rest, 0.0).sum(axis=-2) / counts)]


def scores_of(layers: Layers, count: int) -> Layers:
    """Return the layers of the ``count`` scores, without what the loss reads beside them."""
    *others, (weights, biases) = layers
    return [*others, (weights[:count], biases[:count])]


def jackknife_errors(without: np.ndarray) -> np.ndarray:
    """Return (n, K) standard errors from (groups, n, K) scores of fits without each group.

    The delete-a-group jackknife, sqrt((G - 1) / G · Σ (s_g - s̄)²) (METHOD.md, section 3).
    """
    count = len(without)
    return np.sqrt((count - 1) / count * ((without - without.mean(axis=0)) ** 2).sum(axis=0))


def _parts(count: int, parts: int) -> Iterator[np.ndarray]:
    """Yield masks of every ``parts``-th prompt: their order is that of hashes."""
    for part in range(parts):
        yield np.arange(count) % parts == part


def _row_space(points: np.ndarray) -> np.ndarray:
    """Return an orthonormal (d, r) basis of what (n, d) points span, r at most n."""
    count, width = points.shape
    if count >= width:
        return np.eye(width)
    return np.linalg.svd(points, full_matrices=False)[2].T


def _outside(layers: Layers, basis: np.ndarray) -> Layers:
    """Return the layers on points of layers on points @ basis."""
    (weights, biases), *others = layers
    return [(weights @ basis.T, biases), *others]
