"""A linear router on frozen prompt embeddings: by default one ridge regression per teacher."""

from collections.abc import Callable
from typing import Any

import numpy as np

from persyn_kedro.domain.routers.embedding_router import EmbeddingRouter
from persyn_kedro.domain.routers.losses import loss_of
from persyn_kedro.domain.routers.network import (
    Again,
    Layers,
    Network,
    at_fair_levels,
    jackknife_errors,
    outputs,
    scores_of,
    without_groups,
)
from persyn_kedro.domain.routers.space import Space
from persyn_kedro.foundations.settings.routers import LinearRouterSettings, MlpRouterSettings

NAMES = [("hidden_coefficients", "hidden_intercepts"), ("coefficients", "intercepts")]


class LinearRouter(EmbeddingRouter):
    """Scores are linear in the standardised embedding.

    With the loss ``regression`` they are predicted rewards, and each teacher is fitted on the
    prompts where it is valid; one that is never valid scores 0. Of an adaptive design the
    intercepts are those of what was asked at random.
    """

    arrays = "linear.safetensors"
    settings: LinearRouterSettings | MlpRouterSettings
    hidden: int | None = None
    space_: Space
    layers_: Layers
    without_: Layers | None = None  # of fits without one group of the prompts each
    _fit_without: Callable[[], Layers] | None = None  # makes these when they are first needed

    def fit_points(self, points: np.ndarray, rewards: np.ndarray) -> float:
        """Fit; return the loss (the mean squared error for ``regression``)."""
        import torch

        self.space_ = Space.fit(points, self.embedding)
        scaled = self.space_.scaled(points)
        regression = self.hidden is None and self.settings.loss_name == "regression"
        fit = self._fit_ridges if regression else self._fit_network
        whole, again = fit(scaled, rewards)
        fair = self.fair_rewards if self.settings.loss_name == "regression" else None
        layers = scores_of(whole, rewards.shape[1])
        self.layers_, self.without_ = at_fair_levels(layers, scaled, fair), None

        def fit_without() -> Layers:
            return at_fair_levels(without_groups(scaled, rewards, again), scaled, fair)

        self._fit_without = fit_without
        return float(loss_of(self.settings)(*map(torch.tensor, (outputs(whole, scaled), rewards))))

    def scores(self, points: np.ndarray) -> np.ndarray:
        """Return (b, K) scores."""
        return outputs(self.layers_, self.space_.scaled(points))

    def errors(self, points: np.ndarray) -> np.ndarray | None:
        """Return (b, K) standard errors, by leaving out groups of the fitted prompts."""
        without = self._without()
        if without is None:
            return None
        return jackknife_errors(outputs(without, self.space_.scaled(points)))

    def saved_arrays(self) -> dict[str, np.ndarray]:
        """Return the space and the layers, also of the fits without a group."""
        found = {"mean": self.space_.mean, "scale": self.space_.scale, **_named(self.layers_)}
        return {**found, **_named(self._without() or [], "without_")}

    def set_arrays(self, arrays: dict[str, Any]) -> None:
        """Take the space and the layers; older files lack the fits without a group."""
        self.space_ = Space(arrays["mean"], arrays["scale"])
        self.layers_ = _layers(arrays)
        self.without_ = _layers(arrays, "without_") or None
        self.n_teachers_ = len(arrays["intercepts"])

    def _without(self) -> Layers | None:
        """Return the fits without a group, which take longer than the fit itself."""
        if self._fit_without is not None:
            self.without_, self._fit_without = self._fit_without() or None, None
        return self.without_

    def _fit_ridges(self, points: np.ndarray, rewards: np.ndarray) -> tuple[Layers, Again]:
        ridges, layer = _ridge_regressions(points, rewards, self.settings.ridge)
        return [layer], lambda x, r: [_ridge_regressions(x, r, ridges)[1]]

    def _fit_network(self, points: np.ndarray, rewards: np.ndarray) -> tuple[Layers, Again]:
        network = Network(loss_of(self.settings), self.hidden, self.seed)
        return network.solve(points, rewards, self.settings.ridge)


def _ridge_regressions(
    points: np.ndarray, rewards: np.ndarray, ridge: Any
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return the (K,) penalties, and (K, d) coefficients and (K,) intercepts.

    Each teacher is fitted on its valid prompts.

    Args:
        ridge: one for each teacher, one for all, or None: chosen by leave-one-out in closed form.
            There are more columns than prompts, so without a penalty the fit is arbitrary.
    """
    from sklearn.linear_model import Ridge, RidgeCV

    known, count = np.isfinite(rewards), rewards.shape[1]
    coefficients, intercepts = np.zeros((count, points.shape[1])), np.zeros(count)
    ridges = np.ones(count) if ridge is None else np.broadcast_to(ridge, count).copy()
    for k in np.flatnonzero(known.any(axis=0)):
        rows = known[:, k]
        if ridge is None and rows.sum() > 1:  # leave-one-out needs two
            fitted = RidgeCV(alphas=np.logspace(0, 5, 11)).fit(points[rows], rewards[rows, k])
            ridges[k] = fitted.alpha_
        else:
            fitted = Ridge(alpha=ridges[k]).fit(points[rows], rewards[rows, k])
        coefficients[k], intercepts[k] = fitted.coef_, fitted.intercept_
    return ridges, (coefficients, intercepts)


def _named(layers: Layers, prefix: str = "") -> dict[str, np.ndarray]:
    """Return the arrays by name; the last layer's names are those of a linear router's one."""
    pairs = zip(NAMES[-len(layers) :], layers, strict=True) if layers else ()
    return {
        prefix + name: array
        for names, layer in pairs
        for name, array in zip(names, layer, strict=True)
    }


def _layers(arrays: dict[str, np.ndarray], prefix: str = "") -> Layers:
    return [(arrays[prefix + w], arrays[prefix + b]) for w, b in NAMES if prefix + w in arrays]
