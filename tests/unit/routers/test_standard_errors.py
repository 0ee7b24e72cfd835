"""Means, kNN's options and standard errors, against numbers worked out by hand."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from persyn_kedro.domain.routers.constant import ConstantRouter
from persyn_kedro.domain.routers.ensemble import EnsembleRouter
from persyn_kedro.domain.routers.knn import KnnRouter
from persyn_kedro.domain.routers.linear import LinearRouter
from persyn_kedro.domain.routers.losses import loss_of
from persyn_kedro.domain.routers.means import Overall
from persyn_kedro.domain.routers.mlp import MlpRouter
from persyn_kedro.domain.routers.network import Network, jackknife_errors, outputs
from persyn_kedro.domain.routers.scored import Scored
from persyn_kedro.domain.routers.task_type import TaskTypeRouter
from persyn_kedro.domain.routers.tasks import PromptOfTask
from persyn_kedro.foundations.prompts.conversation import Message
from persyn_kedro.foundations.settings.routers import settings_of_kind

NAN = np.nan
LINE = np.array([[0.0], [1.0], [3.0], [7.0]], dtype=np.float32)
REWARDS = np.array([[1.0, 0.2], [0.0, NAN], [0.5, 0.4], [0.9, 0.6]])


def knn(**keys) -> KnnRouter:
    plain = {"embedding": {"standardise": False}, "neighbours": 2, **keys}
    router = KnnRouter(None, settings_of_kind("knn", plain))
    router.fit_points(LINE, REWARDS)
    return router


def test_by_default_scores_are_those_of_scikit_learns_neighbours() -> None:
    rng = np.random.default_rng(0)
    points, rewards = rng.normal(size=(40, 5)).astype(np.float32), rng.random((40, 3))
    router = KnnRouter(None, settings_of_kind("knn", {}))
    router.fit_points(points, rewards)
    scaler = StandardScaler().fit(points.astype(np.float64))
    scaled = scaler.transform(points.astype(np.float64))
    wanted = KNeighborsRegressor(8).fit(scaled, rewards).predict(scaled)
    np.testing.assert_array_equal(router.scores(points), wanted)


def test_nearer_neighbours_weigh_more_and_the_same_prompt_all() -> None:
    """At 2.5 the neighbours are 3 (distance 0.5) and 1 (1.5): weights 3/4 and 1/4."""
    router = knn(weights="distance")
    np.testing.assert_allclose(router.scores(np.array([[2.5]]))[0], [0.375, 0.4])
    np.testing.assert_allclose(router.scores(LINE[:1])[0], REWARDS[0])


def test_scores_are_shrunk_towards_each_teachers_mean() -> None:
    """The neighbours of 2.5 give (0 + 0.5) / 2 and 0.4; the means are 0.6 and 0.4."""
    found = knn(shrinkage=2.0).scores(np.array([[2.5]]))[0]
    np.testing.assert_allclose(found, [(2 * 0.25 + 2 * 0.6) / 4, (0.4 + 2 * 0.4) / 3])


def test_the_neighbours_spread_is_the_error() -> None:
    """Squares about 0.25 are 2 · 0.0625; the overall variances 0.62 / 3 and 0.04."""
    errors = knn().errors(np.array([[2.5]]))[0]
    overall = np.var(REWARDS[:, 0], ddof=1)
    np.testing.assert_allclose(errors, [np.sqrt((0.125 + overall) / 2 / 2), np.sqrt(0.04)])
    shrunk = knn(shrinkage=2.0).errors(np.array([[2.5]]))[0]
    np.testing.assert_allclose(shrunk, [errors[0] * 2 / 4, errors[1] / 3])


def test_by_angle_lengths_do_not_count() -> None:
    points = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    router = KnnRouter(
        None,
        settings_of_kind(
            "knn",
            {"neighbours": 1, "embedding": {"metric": "cosine", "standardise": False}},
        ),
    )
    router.fit_points(points, np.eye(2))
    assert router.scores(np.array([[9.0, 8.0], [0.1, 0.2]])).argmax(axis=1).tolist() == [0, 1]


def test_overall_means_and_variances_leave_out_invalid_answers() -> None:
    found = Overall.of(np.array([[0.2, NAN, NAN], [0.6, 0.5, NAN]]))
    np.testing.assert_allclose(found.means, [0.4, 0.5, 0.0])
    np.testing.assert_allclose(found.variances, [0.08, 0.0, 0.0])
    assert found.counts.tolist() == [2, 1, 0]


def test_the_constant_scores_mean_rewards_with_invalid_as_0() -> None:
    router = ConstantRouter(None, settings_of_kind("constant", {}))
    router.fit(list("abcd"), REWARDS)
    valid = REWARDS[[0, 2, 3]]  # the second prompt has one valid teacher: no comparison
    np.testing.assert_allclose(
        router.predict_scores(["x"] * 3), [valid.mean(axis=0)] * 3, atol=1e-6
    )
    errors = np.std(valid, axis=0, ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(router.predict_errors(["x"])[0], errors, atol=1e-6)


def typed(text: str, task: str | None) -> PromptOfTask:
    return PromptOfTask((Message("user", text),), (("source", task),))


def test_a_task_scores_its_own_prompts_mean_and_an_unknown_one_that_of_all() -> None:
    prompts = [typed(str(i), "sums" if i < 2 else "words") for i in range(4)]
    rewards = np.array([[1.0, 0.0], [0.8, 0.2], [0.1, 0.9], [0.1, 0.5]])
    router = TaskTypeRouter(None, settings_of_kind("task_type", {"shrinkage": 2.0}))
    router.fit(prompts, rewards)
    found = router.predict_scores([typed("5", "sums"), typed("6", None), typed("7", "art"), "8"])
    overall = rewards.mean(axis=0)
    sums = (2 * rewards[:2].mean(axis=0) + 2 * overall) / 4
    np.testing.assert_allclose(found, [sums, overall, overall, overall], atol=1e-6)
    assert str(prompts[0]) == "0" and prompts[0] != typed("0", "words")


def test_jackknife_errors_of_a_mean_are_its_textbook_standard_error() -> None:
    values = np.array([0.1, 0.5, 0.9, 0.4, 0.3])
    without = (values.sum() - values) / 4  # the means without each
    found = jackknife_errors(without[:, None, None])
    assert found[0, 0] == pytest.approx(np.std(values, ddof=1) / np.sqrt(5))


def test_a_bradley_terry_fit_is_scikit_learns_logistic_regression() -> None:
    """Two teachers: s_b - s_a is a logistic regression of who wins on the point."""
    rng = np.random.default_rng(1)
    points = rng.normal(size=(60, 3))
    wins = (points[:, 0] + rng.normal(size=60) > 0).astype(float)
    ((weights, biases),) = Network(
        loss_of(settings_of_kind("linear", {"loss": "bradley_terry"}))
    ).fit(points, np.stack([1 - wins, wins], axis=1), ridge=4.0)
    # The penalty of both rows, 4 / 2 n · 2 (w / 2)² = 2 / 2 n · w², is C = 1 / 2 in its terms.
    wanted = LogisticRegression(C=0.5, tol=1e-10, max_iter=1000).fit(points, wins)
    np.testing.assert_allclose(weights[1] - weights[0], wanted.coef_[0], atol=1e-4)
    assert biases[1] - biases[0] == pytest.approx(wanted.intercept_[0], abs=1e-4)


def blobs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    kinds = rng.integers(0, 3, 60)
    points = (4 * np.eye(3)[kinds] + rng.normal(size=(60, 3))).astype(np.float32)
    return points, np.clip(np.eye(3)[kinds] * 0.8 + 0.1 * rng.normal(size=(60, 3)), 0, 1)


@pytest.mark.parametrize("loss", ["weighted", "soft", "softmax_regret", "rao_kupper", "grk", None])
@pytest.mark.parametrize("cls", [LinearRouter, MlpRouter])
def test_every_loss_learns_what_can_be_learnt(cls, loss) -> None:
    points, rewards = blobs()
    kind = "mlp" if cls is MlpRouter else "linear"
    router = cls(None, settings_of_kind(kind, {"loss": loss, "ridge": 1.0, "hidden_units": 4}))
    router.fit_points(points, rewards)
    assert (router.scores(points).argmax(axis=1) == rewards.argmax(axis=1)).mean() > 0.9
    errors = router.errors(points)
    assert errors.shape == (60, 3) and (errors > 0).all()
    again = cls(None, router.settings)
    again.set_arrays(router.saved_arrays())
    np.testing.assert_array_equal(again.scores(points), router.scores(points))
    np.testing.assert_array_equal(again.errors(points), errors)


def test_an_older_file_has_no_standard_errors() -> None:
    points, rewards = blobs()
    router = LinearRouter(None, settings_of_kind("linear", {"ridge": 1.0}))
    router.fit_points(points, rewards)
    arrays = {n: a for n, a in router.saved_arrays().items() if not n.startswith("without")}
    again = LinearRouter(None, router.settings)
    again.set_arrays(arrays)
    assert again.errors(points) is None


def test_a_chosen_ridge_is_the_one_with_the_least_loss_on_prompts_left_out() -> None:
    points, rewards = blobs()
    network = Network(loss_of(settings_of_kind("linear", {"loss": "weighted"})))
    chosen = network.choose_ridge(points.astype(np.float64), rewards)
    assert chosen == 10.0  # the signal is strong: the weakest penalty on offer
    noise = np.random.default_rng(3).random(rewards.shape)
    assert network.choose_ridge(points.astype(np.float64), noise) == 1e4


def test_an_ensemble_is_the_mean_of_standardised_scores() -> None:
    router = EnsembleRouter(None, settings_of_kind("ensemble", {}))
    router.scales_ = np.array([0.5, 2.0])
    first = Scored(np.array([[1.0, 0.0]]), np.array([[0.1, 0.1]]))
    second = Scored(np.array([[2.0, 6.0]]))
    found = router.combine([first, second])
    # Centred and scaled: ±0.5 / 0.5 = (1, -1) and ∓2 / 2 = (-1, 1).
    np.testing.assert_allclose(found.scores, [[0.0, 0.0]])
    own = (0.1 / 0.5) ** 2 / 2  # the second has none
    np.testing.assert_allclose(found.errors, np.sqrt([[own + 1.0] * 2]))


def test_outputs_of_several_networks_are_those_of_each() -> None:
    rng = np.random.default_rng(4)
    points, nets = rng.normal(size=(5, 3)), []
    for _ in range(2):
        nets.append(
            [
                (rng.normal(size=(4, 3)), rng.normal(size=4)),
                (rng.normal(size=(2, 4)), rng.normal(size=2)),
            ]
        )
    both = [(np.stack([n[i][0] for n in nets]), np.stack([n[i][1] for n in nets])) for i in (0, 1)]
    np.testing.assert_allclose(outputs(both, points), [outputs(n, points) for n in nets])
