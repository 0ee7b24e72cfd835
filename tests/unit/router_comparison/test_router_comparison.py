"""Routers compared: against scikit-learn's AUC and hand-made cases."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from persyn_kedro.domain.reporting.router_plots import calibration_plot
from persyn_kedro.domain.router_comparison.compare import (
    Bootstrap,
    constant_scores,
    measure_scores,
    pair_auc,
    pair_calibration,
)
from persyn_kedro.domain.router_comparison.cross_fitting import (
    check_kinds,
    compared,
    fold_of,
    held_out_scores,
    preference_routers,
)
from persyn_kedro.domain.router_comparison.summary import summarise_routers
from persyn_kedro.domain.routers.metrics import router_metrics
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings, settings_of_kind
from persyn_kedro.foundations.tables import schemas

BOOTSTRAP = Bootstrap(resamples=500, confidence=0.9, seed=3)


def cases(n: int = 40, count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    rewards = np.round(rng.random((n, count)), 1)  # with ties
    rewards[rng.random((n, count)) < 0.1] = np.nan
    rewards = rewards[np.isfinite(rewards).sum(axis=1) >= 2]
    return np.nan_to_num(rewards, nan=0.3) + rng.normal(0, 0.4, rewards.shape), rewards


def both_orders(scores: np.ndarray, rewards: np.ndarray) -> tuple[list[float], list[int]]:
    margins, labels = [], []
    for row, reward in zip(scores, rewards, strict=True):
        for a in range(len(row)):
            for b in range(len(row)):
                if np.isfinite(reward[[a, b]]).all() and abs(reward[a] - reward[b]) > 1e-9:
                    margins.append(row[b] - row[a])
                    labels.append(int(reward[b] > reward[a]))
    return margins, labels


def test_auc_is_scikit_learns_over_pairs_in_both_orders() -> None:
    scores, rewards = cases()
    margins, labels = both_orders(scores, rewards)
    found = pair_auc(scores, rewards, BOOTSTRAP)
    assert found["value"] == pytest.approx(roc_auc_score(labels, margins), abs=1e-12)
    low, high = found["interval"]
    assert low < found["value"] < high


def test_auc_of_a_resample_is_that_of_the_drawn_prompts() -> None:
    """The bootstrap's spread is that of AUCs which scikit-learn computes on drawn prompts."""
    scores, rewards = cases(n=25, count=3)
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(400):
        rows = rng.integers(0, len(rewards), len(rewards))
        margins, labels = both_orders(scores[rows], rewards[rows])
        drawn.append(roc_auc_score(labels, margins))
    found = pair_auc(scores, rewards, Bootstrap(4000, 0.9, 2))
    assert found["standard_error"] == pytest.approx(np.std(drawn), rel=0.12)


def test_auc_of_no_opinion_is_a_half_and_of_the_truth_one() -> None:
    _, rewards = cases()
    assert pair_auc(np.zeros(rewards.shape), rewards, BOOTSTRAP)["value"] == 0.5
    assert pair_auc(np.nan_to_num(rewards), rewards, BOOTSTRAP)["value"] == 1.0
    assert pair_auc(np.zeros((2, 2)), np.full((2, 2), 0.5), BOOTSTRAP) is None


def test_hits_and_regret_are_those_of_the_routers_own_metrics() -> None:
    scores, rewards = cases()
    constant = np.tile([3.0, 2.0, 1.0, 0.0], (len(rewards), 1))
    found = measure_scores({"knn": scores, "constant": constant}, rewards, BOOTSTRAP)
    known = router_metrics(scores, rewards, rewards)
    for figure in ("hit@1", "hit@2", "hit@3", "regret"):
        assert found["knn"][figure]["value"] == pytest.approx(known["router"][figure])
        assert found["random"][figure]["value"] == pytest.approx(known["random"][figure])
    assert found["oracle"]["hit@1"]["value"] == 1.0
    assert found["oracle"]["regret"]["value"] == 0.0
    difference = found["knn"]["regret"]["value"] - found["constant"]["regret"]["value"]
    assert found["knn"]["regret_to_constant"]["value"] == pytest.approx(difference)
    assert "regret_to_constant" not in found["constant"]


def test_the_constant_of_a_fold_is_the_best_teacher_of_the_others() -> None:
    rewards = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.9]])
    scores = constant_scores(rewards, np.array([0, 0, 1, 1]))
    assert scores.argmax(axis=1).tolist() == [1, 1, 0, 0]


def test_only_the_scores_of_bradley_terrys_loss_are_taken_for_probabilities() -> None:
    def named(own: dict[str, Any], **router: Any) -> list[str]:
        settings = CompareRoutersSettings(kinds=["knn"], routers=own)
        return preference_routers(settings, settings_of_kind("knn", {"backbone": "a", **router}))

    losses = {
        name: {"kind": "linear", "loss": name}
        for name in ("bradley_terry", "weighted", "soft", "regression", "rao_kupper", "grk")
    }
    assert named(losses) == ["bradley_terry"]
    assert named({"paper": {"kind": "language_model"}}) == ["paper"]
    assert named({"sizes": {"kind": "language_model", "loss": "weighted"}}) == []
    chart = calibration_plot({"calibration": []})
    assert "no probabilities" in str(chart.empty)


def test_calibration_of_a_router_that_is_right_is_the_diagonal() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1.5, (4000, 2))
    wins = rng.random(4000) < 1 / (1 + np.exp(scores[:, 0] - scores[:, 1]))
    bins = pair_calibration(scores, np.stack([1.0 - wins, wins.astype(float)], axis=1))
    assert sum(b["pairs"] for b in bins) == 8000
    for b in bins:
        assert b["observed"] == pytest.approx(b["predicted"], abs=0.06)


def test_ties_count_half_and_invalid_teachers_not_at_all() -> None:
    bins = pair_calibration(np.array([[0.0, 0.0, 9.0]]), np.array([[0.5, 0.5, np.nan]]))
    assert bins == [{"predicted": 0.5, "observed": 0.5, "pairs": 2}]


def test_folds_are_fixed_by_the_prompt_and_about_equal() -> None:
    folds = [fold_of(f"p{i}", 5, seed=1) for i in range(1000)]
    assert folds == [fold_of(f"p{i}", 5, seed=1) for i in range(1000)]
    counts = np.bincount(folds, minlength=5)
    assert len(counts) == 5 and (abs(counts - 200) < 64).all()  # five standard deviations


def test_repeats_are_averaged_over_each_prompt() -> None:
    """Two repeats: the figures are means of each one's, and prompts are what is resampled."""
    first, rewards = cases()
    second = np.roll(first, 1, axis=1)
    constant = np.tile([3.0, 2.0, 1.0, 0.0], (len(rewards), 1))
    both = {"x": np.stack([first, second]), "constant": np.stack([constant] * 2)}
    found = measure_scores(both, rewards, BOOTSTRAP)["x"]
    each = [
        measure_scores({"x": s, "constant": constant}, rewards, BOOTSTRAP)["x"]
        for s in (first, second)
    ]
    for figure in ("hit@1", "regret", "regret_to_constant"):
        mean = np.mean([one[figure]["value"] for one in each])
        assert found[figure]["value"] == pytest.approx(mean)
    pairs = [both_orders(s, rewards) for s in (first, second)]
    margins, labels = (pairs[0][i] + pairs[1][i] for i in (0, 1))
    assert found["auc"]["value"] == pytest.approx(roc_auc_score(labels, margins), abs=1e-12)
    repeated = measure_scores(
        {k: np.stack([v[0]] * 2) for k, v in both.items()}, rewards, BOOTSTRAP
    )
    assert repeated["x"]["regret"] == each[0]["regret"]  # the same twice has the same interval


def test_a_repeat_draws_other_folds() -> None:
    folds = [[fold_of(f"p{i}", 5, 1, repeat) for i in range(100)] for repeat in (0, 1, 2)]
    assert folds[0] == [fold_of(f"p{i}", 5, 1) for i in range(100)]
    assert folds[0] != folds[1] != folds[2]


def test_a_summary_of_repeats_and_of_an_older_table_without_them() -> None:
    settings = CompareRoutersSettings(sizes=[1.0], resamples=100)
    ids, rewards = list("abcd"), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.2], [0.3, 0.4]])
    rows = [
        {
            "kind": "near", "size": 1.0, "fitted_on": 2, "fold": (i + r) % 2, "prompt_id": p,
            "scores": (rewards[i] if r == 0 else -rewards[i]).tolist(), "repeat": r,
        }
        for r in (0, 1)
        for i, p in enumerate(ids)
    ]  # fmt: skip

    def summary(rows: list) -> dict:
        scores = pa.Table.from_pylist(rows, schemas.ROUTER_SCORES)
        return summarise_routers(scores, ids, rewards, settings, seed=1)

    found = summary(rows)
    assert (found["n"], found["folds"], found["repeats"]) == (4, 2, 2)
    assert found["routers"]["near"]["hit@1"]["value"] == 0.5  # always right, then never
    older = summary([{**row, "repeat": None} for row in rows[:4]])
    assert "repeats" not in older
    assert older["routers"]["near"]["hit@1"]["value"] == 1.0


def test_a_router_named_like_the_kind_of_train_router_must_be_that_one() -> None:
    """Its scores would be those of another router than the settings say."""
    own = settings_of_kind("knn", {"neighbours": 8})
    given = {"routers": {"knn": {"kind": "knn"}, "near": {"kind": "knn", "neighbours": 32}}}
    check_kinds(CompareRoutersSettings.model_validate(given), own)
    given["routers"]["knn"] = {"kind": "knn", "neighbours": 32}
    with pytest.raises(PersynError, match=r"^compare_routers.routers.knn is another router than"):
        check_kinds(CompareRoutersSettings.model_validate(given), own)


def test_a_constant_router_of_train_router_is_scored_for_the_frontier_but_not_compared() -> None:
    """The frontier and costs read its scores; the comparison computes its own constant."""
    settings = CompareRoutersSettings(kinds=["knn"], resamples=100)
    constant = TrainRouterSettings(kind="constant")
    assert list(compared(settings, constant)) == ["knn", "constant"]
    ids, rewards = [f"p{i}" for i in range(12)], np.tile([0.2, 0.6], (12, 1))
    rows = [
        {"kind": kind, "size": 1.0, "fitted_on": 6, "fold": i % 2, "prompt_id": p,
         "scores": [0.5, 0.4], "repeat": 0}
        for kind in ("knn", "constant")
        for i, p in enumerate(ids)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schemas.ROUTER_SCORES)
    assert held_out_scores(table, "constant", ids).shape == (12, 2)
    found = summarise_routers(table, ids, rewards, settings, 0)
    assert [row["kind"] for row in found["curve"]] == ["knn"] and len(found["verdicts"]) == 1
    assert found["routers"]["constant"]["regret"]["value"] == 0.0
    assert found["routers"]["knn"]["regret_to_constant"]["value"] == pytest.approx(0.4)
