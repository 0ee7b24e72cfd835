"""Students compared: paired bootstraps against independent computations, and plain verdicts."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, norm

from persyn_kedro.domain.comparison.bootstrap import mean_over_prompts, mean_over_seeds_and_prompts
from persyn_kedro.domain.comparison.students import compare_students, verdicts
from persyn_kedro.domain.comparison.summary import build_comparison
from persyn_kedro.foundations import schemas
from persyn_kedro.foundations.evidence_parameters import CompareSettings
from persyn_kedro.foundations.parameters import LabelSettings

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


def test_seeds_add_their_own_spread() -> None:
    """Variance of the two-way bootstrap mean: seeds' part plus prompts' part (plus theirs)."""
    rng = np.random.default_rng(0)
    seeds, prompts = rng.normal(0, 1, (8, 1)), rng.normal(0, 1, (1, 50))
    found = mean_over_seeds_and_prompts(seeds + prompts, 40_000, 0.95, seed=3)
    expected = np.sqrt(seeds.var() / 8 + prompts.var() / 50)
    assert found is not None
    assert found.standard_error == pytest.approx(expected, rel=0.03)
    z = norm.ppf(0.975)
    assert found.high - found.low == pytest.approx(2 * z * expected, rel=0.06)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 9))
def test_an_interval_holds_its_estimate_and_equal_values_have_no_width(
    seeds: int, prompts: int, seed: int
) -> None:
    found = mean_over_seeds_and_prompts(np.full((seeds, prompts), 0.25), 200, 0.95, seed)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


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
    assert row["difference"]["detectable"] == pytest.approx(
        2.8 * row["difference"]["standard_error"]
    )
    # Pairing: what both do alike cancels out, so a constant shift has no width but the shift's.
    shifted = compare_students(
        trials({"persyn": [[1.0, 2.0, 3.0]], "strong": [[0.5, 1.5, 2.5]]}), SETTINGS, seed=1
    )
    assert shifted["strategies"]["strong"]["difference"]["interval"] == [-0.5, -0.5]


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


def told(**differences: tuple[float, float, float]) -> str:
    figures = {
        name: {
            "reference": "persyn",
            "difference": {"value": v, "interval": [low, high], "detectable": 0.05},
        }
        for name, (v, low, high) in differences.items()
    }
    return " ".join(verdicts({"strategies": figures}))


def test_verdicts_say_plainly_who_wins() -> None:
    assert told(strong=(-0.1, -0.2, -0.05)) == (
        "PerSyn's student is better than that of strong (PerSyn +10.0 points)."
    )
    assert told(strong=(0.1, 0.05, 0.2)) == (
        "PerSyn does not win: its student is worse than that of strong (PerSyn -10.0 points)."
    )
    open_ = told(car=(-0.01, -0.06, 0.04))
    assert "not shown to be better than that of car (PerSyn +1.0 points)" in open_
    assert "a difference below 5.0 points would mostly have gone unseen" in open_
    assert told(strong=(0.0, 0.0, 0.0)) == ""  # the same students: a note says so
    assert told(persyn_alpha_0=(0.1, 0.05, 0.2)) == ""  # an ablation is no rival


def comparison(**changes: Any) -> dict[str, Any]:
    scores = {"persyn": [[1.0, 0.0]], "persyn_alpha_1": [[1.0, 0.0]], "strong": [[1.0, 1.0]]}
    costs = [
        {"strategy": n, **{c: 1 for c in schemas.STRATEGY_COSTS.names if c != "strategy"}}
        for n in scores
    ]
    sets = {"persyn": ["a", "b"], "persyn_alpha_1": ["a", "b"], "strong": ["c", "d"]}
    examples = [
        {"strategy": n, "prompt_id": f"t{i}", "teacher": key, "response_key": key}
        for n, keys in sets.items()
        for i, key in enumerate(keys)
    ]
    prompts = [
        {"prompt_id": f"t{i}", "source": "sums", "split": "train", "part": "sft"} for i in range(3)
    ]
    arguments: dict[str, Any] = {
        "trials": trials(scores),
        "costs": pa.Table.from_pylist(costs, schemas.STRATEGY_COSTS),
        "examples": pa.Table.from_pylist(examples, schemas.STRATEGY_EXAMPLES),
        "notes": {"teachers": {"strong": "c"}, "left_out": {"car": "it cannot be"}},
        "prompts": prompts,
        "router_comparison": {"verdicts": ["The router says nothing."]},
        "teachers": ["a", "b", "c", "d"],
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
    assert found["allocation"] == [{"kind": "sums", "a": 1, "b": 1, "c": 0, "d": 0}]
    assert found["strategies"]["strong"]["teacher"] == "c"
    assert found["measure"] == "exact"
    notes = " ".join(found["notes"])
    assert "Left out: car, as it cannot be." in notes
    assert "2 of 3 prompts are trained on" in notes
    assert "persyn and persyn_alpha_1 have the same training set" in notes
    assert found["verdicts"][-1] == "The router says nothing."


def test_scores_other_than_right_and_wrong_are_told_as_rewards() -> None:
    found = comparison(
        trials=trials(
            {"persyn": [[1.5, 0.0]], "persyn_alpha_1": [[1.5, 0.0]], "strong": [[3.5, 2.0]]}
        )
    )
    assert found["measure"] == "reward"
    assert "(PerSyn -2.0 reward)" in found["verdicts"][0]
