"""Students compared: paired bootstraps against independent computations."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st
from scipy.stats import bootstrap, t

from persyn_kedro.domain.comparison.students import compare_students
from persyn_kedro.domain.intervals.bootstrap import mean_over_prompts
from persyn_kedro.domain.intervals.two_way import certainty, common_luck
from persyn_kedro.foundations.settings.compare import CompareSettings
from persyn_kedro.foundations.tables import schemas

SETTINGS = CompareSettings(resamples=4000)


def trials(scores: dict[str, Any]) -> pa.Table:
    """Make ``TRIALS`` of ``{strategy: (seeds, prompts) quality}``; untrained has one row."""
    rows = [
        {
            "strategy": name,
            "seed": None if name == "untrained" else 10 + s,
            "prompt_id": f"p{i}",
            "response_key": f"{name}:{s}:{i}",
            "finish_reason": "stop",
            "completion_tokens": 4,
            "quality": value,
        }
        for name, by_seed in scores.items()
        for s, line in enumerate(by_seed)
        for i, value in enumerate(line)
    ]
    return pa.Table.from_pylist(rows, schemas.TRIALS)


def test_interval_of_a_mean_is_that_of_scipys_percentile_bootstrap() -> None:
    values = np.random.default_rng(0).normal(1.0, 2.0, 60)
    ours = mean_over_prompts(values, 20_000, 0.9, seed=1)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=20_000, confidence_level=0.9, method="percentile",
        rng=np.random.default_rng(2),
    )  # fmt: skip
    assert ours is not None
    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.03)
    assert ours.standard_error == pytest.approx(values.std() / np.sqrt(60), rel=0.03)


def drawn_differences(seeds: int, prompts: int, draws: int, of_seeds: float) -> np.ndarray:
    """Return (draws, seeds, prompts) differences whose true mean is 0: all three sources vary."""
    rng = np.random.default_rng(seeds)
    return (
        rng.normal(0, of_seeds, (draws, seeds, 1))
        + rng.normal(0, 0.3, (draws, 1, prompts))
        + rng.normal(0, 0.4, (draws, seeds, prompts))
    )


@pytest.mark.parametrize("of_seeds", [0.0, 0.03, 0.1])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_with_seeds_misses_no_more_often_than_it_says(
    seeds: int, of_seeds: float
) -> None:
    """At 90 %: at most 10 % of 600 null comparisons, and four standard deviations of chance."""
    found = [certainty(values, 0.9) for values in drawn_differences(seeds, 60, 600, of_seeds)]
    missed = np.mean([f is not None and (f.low > 0 or f.high < 0) for f in found])
    assert missed < 0.1 + 4 * np.sqrt(0.09 / 600)


def test_what_is_called_detectable_is_seen_in_four_cases_of_five() -> None:
    values = drawn_differences(5, 200, 400, of_seeds=0.02)
    typical = float(np.mean([certainty(v, 0.95).detectable for v in values]))  # type: ignore[union-attr]
    seen = np.mean([certainty(v + typical, 0.95).low > 0 for v in values])  # type: ignore[union-attr]
    assert 0.7 < seen < 0.95


def test_the_variance_is_that_of_the_two_way_layout() -> None:
    """Two seeds, three prompts, by hand: mean squares 0.06 (prompts), 0.24 (seeds), 0.06 (rest)."""
    values = np.array([[0.0, 0.3, 0.6], [0.8, 0.5, 0.8]])
    variance = (0.24 + 0.06 - 0.06) / 6
    freedom = variance**2 / ((0.24 / 6) ** 2 / 1 + (0.06 / 6) ** 2 / 2 + (0.06 / 6) ** 2 / 2)
    reach = t.ppf(0.975, max(freedom, 1)) * np.sqrt(variance)
    found = certainty(values, 0.95)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.5 - reach, 0.5 + reach))


@given(st.integers(1, 4), st.integers(2, 6))
def test_equal_values_have_no_width(seeds: int, prompts: int) -> None:
    found = certainty(np.full((seeds, prompts), 0.25), 0.95)
    assert found is not None
    assert (found.low, found.high, found.detectable) == (0.25, 0.25, 0.0)
    assert certainty(np.zeros((seeds, 1)), 0.95) is None


def test_means_spread_and_paired_difference() -> None:
    persyn = [[1.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 1.0]]
    strong = [[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]]
    found = compare_students(
        trials({"untrained": [[0.0, 0.0, 1.0, 0.0]], "persyn": persyn, "strong": strong}),
        SETTINGS,
        seed=1,
    )
    assert (found["n"], found["unknown"], found["seeds"]) == (4, 0, [10, 11])
    assert found["untrained"] == 0.25
    assert found["strategies"]["persyn"]["by_seed"] == [0.75, 0.75]
    assert found["strategies"]["persyn"]["spread"] == 0.0
    assert "difference" not in found["strategies"]["persyn"]
    row = found["strategies"]["strong"]
    assert row["mean"] == 0.375
    assert row["spread"] == pytest.approx(np.std([0.5, 0.25], ddof=1))
    assert row["difference"]["value"] == -0.375
    sure = certainty(np.array(strong) - np.array(persyn), SETTINGS.confidence)
    assert sure is not None
    assert row["difference"]["with_seeds"] == [sure.low, sure.high]
    assert row["difference"]["detectable"] == sure.detectable
    # Pairing: what both do alike cancels out, so a constant shift has no width but the shift's.
    shifted = compare_students(
        trials({"persyn": [[1.0, 2.0, 3.0]], "strong": [[0.5, 1.5, 2.5]]}), SETTINGS, seed=1
    )
    assert shifted["strategies"]["strong"]["difference"]["interval"] == [-0.5, -0.5]
    assert shifted["strategies"]["strong"]["difference"]["with_seeds"] is None  # one seed


def test_simultaneous_intervals_are_those_of_the_level_at_which_all_hold() -> None:
    rng = np.random.default_rng(5)
    names = ["persyn", *(f"v{i}" for i in range(6)), "oracle", "persyn_calibration"]
    drawn = {name: (rng.random((3, 80)) < 0.5).astype(float).tolist() for name in names}
    drawn["v5"] = drawn["v4"]  # the same students: no further comparison
    own = CompareSettings(resamples=4000, intervals="simultaneous")
    found, alone = (compare_students(trials(drawn), s, seed=1) for s in (own, SETTINGS))
    assert alone["levels"] == {"interval": 0.95, "with_seeds": 0.95}
    for level in found["levels"].values():
        assert 0.95 ** (1 / 2) < level < 1 - 0.05 / 7  # Bonferroni's; they share PerSyn
    compared = [np.array(drawn[name]) for name in names[:7]]
    lucks = {"v0": common_luck(compared), "oracle": None}  # one pair: its own luck
    for name, luck in lucks.items():
        row = found["strategies"][name]
        pairs = np.array(drawn[name]) - np.array(drawn[row["reference"]])
        sure = certainty(pairs, found["levels"]["with_seeds"], luck)
        over_prompts = mean_over_prompts(pairs.mean(0), 4000, found["levels"]["interval"], 1)
        assert sure is not None and over_prompts is not None
        assert row["difference"]["with_seeds"] == pytest.approx([sure.low, sure.high])
        assert row["difference"]["interval"] == [over_prompts.low, over_prompts.high]
        assert row["difference"]["value"] == alone["strategies"][name]["difference"]["value"]


def test_students_of_one_training_set_do_not_differ_by_luck() -> None:
    """Each seed trains them once, so that no other seed could tell them apart."""
    rng = np.random.default_rng(6)
    names = ["persyn", "other", "further"]
    drawn = {name: (rng.random((3, 40)) < 0.5).astype(float).tolist() for name in names}
    drawn["twin"] = drawn["persyn"]
    settings = CompareSettings(resamples=500, intervals="simultaneous")
    found = compare_students(trials(drawn), settings, seed=1)["strategies"]
    assert found["twin"]["difference"]["with_seeds"] == [0.0, 0.0]
    assert found["twin"]["difference"]["detectable"] == 0.0
    low, high = found["other"]["difference"]["with_seeds"]
    assert low < high


def test_luck_is_what_a_seed_does_to_one_student_alone() -> None:
    """Three students' means by two seeds; a seed that lifts all by 0.3 is none of their luck.

    Without it -0.1, 0.1; 0.2, -0.2; -0.1, 0.1: sum of squares 0.12, of (2 - 1)(3 - 1) freedom.
    """
    means = np.array([[-0.1, 0.1], [0.2, -0.2], [-0.1, 0.1]]) + [0.5, 0.8] + [[0.1], [0.0], [0.2]]
    scores = [np.tile(own[:, None], (1, 4)) for own in means]
    found = common_luck(scores)
    assert found is not None and found.freedom == 2
    assert found.mean_square == pytest.approx(2 * 4 * 0.12 / 2)
    assert common_luck([*scores, scores[0]]) == found  # the same students count once
    pair = common_luck(scores[:2])
    differences = (scores[0] - scores[1]).mean(axis=1)
    assert pair is not None and pair.mean_square == pytest.approx(4 * differences.var(ddof=1))
    assert common_luck(scores[:1]) is None and common_luck([own[:1] for own in scores]) is None
    values = scores[0] - scores[1]
    assert certainty(values, 0.95, pair) == certainty(values, 0.95)


def test_where_the_seeds_part_is_negative_the_degrees_of_freedom_are_the_prompts() -> None:
    """Two seeds of equal means, three prompts: 0.2, 0.6, 1.0 in both, and what cancels."""
    luck = np.array([0.1, -0.2, 0.1])
    values = np.array([0.2, 0.6, 1.0]) + np.array([luck, -luck])
    found = certainty(values, 0.95)
    reach = t.ppf(0.975, 2) * np.sqrt(2 * 0.16 / 6)  # mean square of prompts 2 * 0.4^2, by 6 values
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.6 - reach, 0.6 + reach))


def test_prompts_that_any_student_leaves_unknown_are_left_out_for_all() -> None:
    found = compare_students(
        trials({"persyn": [[1.0, None, 0.0]], "strong": [[1.0, 1.0, 0.0]]}), SETTINGS, seed=1
    )
    assert (found["n"], found["unknown"]) == (2, 1)
    assert found["strategies"]["strong"]["mean"] == 0.5


def test_oracle_is_compared_with_persyn_on_the_same_prompts() -> None:
    scores = {"persyn": [[1.0, 1.0]], "oracle": [[1.0, 0.0]], "persyn_calibration": [[0.0, 0.0]]}
    found = compare_students(trials(scores), SETTINGS, seed=1)["strategies"]
    assert found["oracle"]["reference"] == "persyn_calibration"
    assert found["oracle"]["difference"]["value"] == 0.5
    assert "difference" not in found["persyn_calibration"]
