"""Students compared: paired bootstraps against independent computations, and plain verdicts."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st
from scipy.stats import bootstrap, t

from persyn_kedro.domain.comparison.report import TrainingSets, allocation_by_kind, build_comparison
from persyn_kedro.domain.comparison.students import compare_students, verdicts
from persyn_kedro.domain.intervals.bootstrap import mean_over_prompts
from persyn_kedro.domain.intervals.two_way import certainty
from persyn_kedro.foundations.settings.experiments import CompareSettings
from persyn_kedro.foundations.settings.label import LabelSettings
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
    values = np.array([[0.0, 0.3, 0.6], [0.4, 0.1, 0.4]])
    seeds = 3 * values.mean(axis=1).var(ddof=1)
    prompts = 2 * values.mean(axis=0).var(ddof=1)
    rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    of_rest = (rest**2).sum() / 2
    variance = max(seeds + prompts - of_rest, prompts) / 6
    freedom = variance**2 / ((seeds / 6) ** 2 / 1 + (prompts / 6) ** 2 / 2 + (of_rest / 6) ** 2 / 2)
    reach = t.ppf(0.975, np.clip(freedom, 1, 5)) * np.sqrt(variance)
    found = certainty(values, 0.95)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.3 - reach, 0.3 + reach))


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


def told(
    same: dict[str, str] | None = None, seeds: int = 3, **differences: tuple[float, float, float]
) -> str:
    figures = {
        name: {
            "reference": "persyn",
            "difference": {
                "value": v,
                "interval": [low, high],
                "with_seeds": [low, high] if seeds > 1 else None,
                "detectable": 0.05,
            },
        }
        for name, (v, low, high) in differences.items()
    }
    return " ".join(verdicts({"strategies": figures, "seeds": list(range(seeds))}, same or {}))


def test_verdicts_say_plainly_who_wins() -> None:
    assert told(strong=(-0.1, -0.2, -0.05)) == (
        "PerSyn's student is better than that of strong (PerSyn +10.0 points)."
    )
    assert told(strong=(0.1, 0.05, 0.2)) == (
        "PerSyn does not win: its student is worse than that of strong (PerSyn -10.0 points)."
    )
    open_ = told(car=(-0.01, -0.06, 0.04))
    assert "not shown to be better than that of car (PerSyn +1.0 points)" in open_
    assert "below 5.0 points would have been missed more than one time in five" in open_
    # Equal scores of other students are no win; equal students are told in a note.
    assert "not shown to be better than that of strong" in told(strong=(0.0, 0.0, 0.0))
    assert told(same={"strong": "persyn"}, strong=(0.0, 0.0, 0.0)) == ""
    assert told(persyn_alpha_0=(0.1, 0.05, 0.2)) == ""  # an ablation is no rival
    assert "only one seed" in told(seeds=1, strong=(-0.1, -0.2, -0.05))


def test_nothing_is_said_of_students_that_could_not_be_judged() -> None:
    found = compare_students(
        trials({"persyn": [[None, 1.0]], "strong": [[1.0, None]]}), SETTINGS, seed=1
    )
    assert (found["n"], found["unknown"], found["strategies"]["strong"]["difference"]) == (
        0,
        2,
        None,
    )
    assert verdicts(found, {}) == [
        "Nothing can be said about PerSyn: too few test answers could be judged."
    ]


def comparison(**changes: Any) -> dict[str, Any]:
    scores = {"persyn": [[1.0, 0.0]], "persyn_alpha_1": [[1.0, 0.0]], "strong": [[1.0, 1.0]]}
    spent = ("calls", "prompt_tokens", "completion_tokens", "cost")
    sets = {"persyn": ["a", "b"], "persyn_alpha_1": ["a", "b"], "strong": ["c", "d"]}
    examples = [
        {"strategy": n, "prompt_id": f"t{i}", "teacher": key, "response_key": key}
        for n, keys in sets.items()
        for i, key in enumerate(keys)
    ]
    arguments: dict[str, Any] = {
        "trials": trials(scores),
        "sets": TrainingSets(
            pa.Table.from_pylist(examples, schemas.STRATEGY_EXAMPLES),
            {n: {p + c: 1 for p in ("", "whole_") for c in spent} for n in scores},
            {
                "teachers": {"strong": "c"},
                "left_out": {"car": "it cannot be"},
                "prompts": dict.fromkeys(scores, 3),
                "usable": {"persyn": 3, "persyn_alpha_1": 3, "strong": 2},
            },
        ),
        "allocation": allocation_by_kind(
            {"t0": ["a", "b"], "t1": ["b", "a"], "t2": ["a", "c"]},
            dict.fromkeys(("t0", "t1", "t2"), "sums"),
            ["a", "b", "c", "d"],
        ),
        "router_comparison": {"verdicts": ["The router says nothing."]},
        "label": LabelSettings(alpha=0.4),
        "settings": SETTINGS,
        "seed": 1,
    }
    return build_comparison(**{**arguments, **changes})


def test_the_summary_has_alphas_allocation_and_notes() -> None:
    found = comparison()
    assert [(a["alpha"], a["strategy"]) for a in found["alphas"]] == [
        (0.4, "persyn"),
        (1.0, "persyn_alpha_1"),
    ]
    assert found["allocation"] == [{"kind": "sums", "a": 2, "b": 1, "c": 0, "d": 0}]
    assert found["strategies"]["strong"]["teacher"] == "c"
    assert found["measure"] == "exact"
    notes = " ".join(found["notes"])
    assert "car is left out: it cannot be." in notes
    assert "2 of 3 prompts are used for training" in notes
    assert "strong has the fewest usable answers, 2" in notes
    assert "persyn_alpha_1 has the same training set as persyn" in notes
    assert found["verdicts"][-1] == "The router says nothing."


def test_scores_other_than_right_and_wrong_are_told_as_rewards() -> None:
    found = comparison(
        trials=trials(
            {"persyn": [[1.5, 0.0]], "persyn_alpha_1": [[1.5, 0.0]], "strong": [[3.5, 2.0]]}
        )
    )
    assert found["measure"] == "reward"
    assert "(PerSyn -2.0 reward)" in found["verdicts"][0]
