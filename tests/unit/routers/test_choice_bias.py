"""Routers fitted on answers that an adaptive design chose for their merit, on made-up data."""

from typing import Any

import numpy as np
import pytest

from persyn_kedro.domain.designs.balanced import balanced
from persyn_kedro.domain.rewards.levelling import teacher_means
from persyn_kedro.domain.rewards.reward import NOT_ASKED
from persyn_kedro.domain.routers.auto import AutoRouter
from persyn_kedro.domain.routers.knn import KnnRouter
from persyn_kedro.domain.routers.linear import LinearRouter
from persyn_kedro.domain.routers.mlp import MlpRouter
from persyn_kedro.foundations.settings.routers import (
    AutoRouterSettings,
    ConstantRouterSettings,
    EnsembleRouterSettings,
    settings_of_kind,
)

N = 600
RNG = np.random.default_rng(0)
HIDDEN = RNG.random(N) < 0.5  # what the embeddings do not say, but the design found out
TRUTH = 0.5 + RNG.normal(0, 0.05, (N, 6))
TRUTH[:, 2] += np.where(HIDDEN, 0.3, -0.3)  # c is as good as the others on average
POINTS = RNG.normal(0, 1.0, (N, 4)).astype(np.float32)
PROMPTS = [f"p{i}" for i in range(N)]
AT_RANDOM = balanced(PROMPTS, list("abcdef"), 2, 0)
ASKED = AT_RANDOM.copy()
ASKED[HIDDEN, 2] = True  # c is asked wherever it is good, and elsewhere only by chance
SEEN = np.where(ASKED, TRUTH, NOT_ASKED)


def fitted(kind: Any, name: str, at_random: np.ndarray | None, **settings: Any) -> Any:
    places = {prompt: i for i, prompt in enumerate(PROMPTS)}

    class Frozen(kind):  # type: ignore[misc]
        def points(self, prompts: Any) -> np.ndarray:
            return POINTS[[places[p] for p in prompts]]

        def score_batches(self, prompts: Any, batch_size: int) -> Any:  # noqa: ARG002
            yield self.scores(self.points(prompts)).astype(np.float32)

    values = {"backbone": "none", "invalid": "lose", **settings}
    router = Frozen(None, settings_of_kind(name, values), 0)
    router.at_random = at_random
    return router.fit(PROMPTS, SEEN)


def test_the_naive_mean_is_wrong() -> None:
    means = teacher_means(np.where(ASKED, TRUTH, np.nan))
    assert means[2] > TRUTH[:, 2].mean() + 0.08


@pytest.mark.parametrize(
    ("kind", "name", "settings"),
    [
        (KnnRouter, "knn", {"shrinkage": 1e6}),
        (LinearRouter, "linear", {"ridge": 1e6}),
        (MlpRouter, "mlp", {"ridge": 1e6, "loss": "regression"}),
    ],
)
def test_levels_are_those_of_what_was_asked_at_random(
    kind: Any, name: str, settings: dict[str, Any]
) -> None:
    naive = fitted(kind, name, None, **settings).predict_scores(PROMPTS).mean(axis=0)
    assert naive[2] - naive[:2].mean() > 0.05
    router = fitted(kind, name, AT_RANDOM, **settings)
    found = router.predict_scores(PROMPTS).mean(axis=0)
    np.testing.assert_allclose(found, TRUTH.mean(axis=0), atol=0.04)
    assert router.fair_rewards is None  # only while it is fitted


def test_missing_neighbours_count_with_the_fair_mean() -> None:
    naive, router = (fitted(KnnRouter, "knn", random) for random in (None, AT_RANDOM))
    filled = router.rewards_[~ASKED[:, 2], 2]
    assert np.ptp(filled) == 0 and filled[0] == pytest.approx(TRUTH[:, 2].mean(), abs=0.04)
    assert naive.rewards_[~ASKED[:, 2], 2][0] > 0.54


def test_a_saved_knn_router_keeps_the_fair_means() -> None:
    router = fitted(KnnRouter, "knn", AT_RANDOM, shrinkage=20)
    again = KnnRouter(None, router.settings, 0)
    again.set_arrays(router.saved_arrays())
    np.testing.assert_array_equal(again.scores(POINTS), router.scores(POINTS))
    assert "means" not in fitted(KnnRouter, "knn", None).saved_arrays()


def test_parts_of_a_candidate_know_what_was_asked_at_random() -> None:
    """A constant in an ensemble among auto's candidates goes by what was asked at random."""
    members = [ConstantRouterSettings(), ConstantRouterSettings()]
    settings = AutoRouterSettings(candidates={"both": EnsembleRouterSettings(members=members)})
    router = AutoRouter(None, settings, 0)
    router.at_random = AT_RANDOM
    router.fit(PROMPTS, SEEN)
    scores = router._scores("both", PROMPTS, SEEN, PROMPTS[:1], AT_RANDOM)[0]
    fair = np.array([TRUTH[AT_RANDOM[:, k], k].mean() for k in range(6)])
    np.testing.assert_allclose(
        scores / scores.std(), (fair - fair.mean()) / fair.std(), rtol=1e-4, atol=1e-4
    )
    naive = router._scores("both", PROMPTS, SEEN, PROMPTS[:1], None)[0]
    assert naive.argmax() == 2
