"""Whom each strategy asks, by METHOD.md, on numbers worked out by hand."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from persyn_kedro.domain.comparison.strategies import merits, rules
from persyn_kedro.domain.comparison.strategies.allocation import Pool, RouterScores, allocate
from persyn_kedro.foundations.settings.compare import CompareSettings
from persyn_kedro.foundations.tables import schemas

TEACHERS = ["big", "middle", "small"]
# Three calibration prompts; r_q and r_l of each teacher.
QUALITY = {"big": [1, 1, 0], "middle": [1, 0, 0], "small": [0, 0, None]}
LEARNABILITY = {"big": [-2.0, -2.0, -2.0], "middle": [-0.5, -1.0, -1.5], "small": [-0.1] * 3}
REWARD = {"big": [0.6, 0.6, 0.2], "middle": [0.9, 0.4, 0.5], "small": [0.4, 0.4, None]}
IDS = ["p0", "p1", "p2"]


def rewards() -> pa.Table:
    rows = [
        {
            "prompt_id": prompt_id,
            "teacher": t,
            "response_key": f"{t}:{prompt_id}",
            "quality": QUALITY[t][i],
            "learnability": LEARNABILITY[t][i],
            "reward": REWARD[t][i],
            "valid": REWARD[t][i] is not None,
        }
        for i, prompt_id in enumerate(IDS)
        for t in TEACHERS
    ]
    return pa.Table.from_pylist(rows, schemas.REWARDS)


def statistics() -> pa.Table:
    """Two tokens a response, one of no tokens, and one that the student could not score."""
    rows = [(t, 2, 2 * value) for t in TEACHERS for value in LEARNABILITY[t]]
    rows += [("big", 0, None), ("big", 2, None)]
    return pa.table(dict(zip(merits.STATISTICS, zip(*rows, strict=True), strict=True)))


def allocated(**settings: Any) -> tuple[dict[str, dict[str, list[str]]], dict[str, Any]]:
    families = {"big": "q", "middle": "s", "small": "s"}
    scores = {p: [0.0, 1.0, 2.0] for p in [*IDS, "t0", "t1"]}
    table, notes = allocate(
        [*IDS, "t0", "t1"],
        Pool(TEACHERS, families, settings.pop("family", "s")),
        rewards(),
        merits.mean_nll(statistics(), TEACHERS),
        RouterScores(
            scores,
            {"persyn_alpha_0": {p: [3.0, 1.0, 2.0] for p in scores}, "persyn_alpha_1": {}},
            {p: [0.0, 2.0, 1.0] for p in IDS},
        ),
        CompareSettings(**settings),
        seed=7,
    )
    return rules.choices_by_strategy(table), notes


def test_each_strategy_asks_whom_method_says() -> None:
    found, notes = allocated()
    every = [*IDS, "t0", "t1"]
    assert found["persyn"] == {p: ["small", "middle", "big"] for p in every}
    assert found["persyn_alpha_0"] == {p: ["big", "small", "middle"] for p in every}
    # Mean r_q: big 2/3, middle 1/3, small 0 (of its two known ones).
    assert found["strong"] == {p: ["big", "middle", "small"] for p in every}
    assert found["family_strong"] == {p: ["middle", "small"] for p in every}
    # CAR: big 1 / (1 + 3 * 2) = 0.143, middle 0.5 / (1 + 3 * 1) = 0.125, small 0.
    assert found["car"] == {p: ["big", "middle", "small"] for p in every}
    assert notes["teachers"] == {
        "strong": "big", "family_strong": "middle", "car": "big", "mix": "big, small"
    }  # fmt: skip
    # Oracle: true rewards; p2's small is invalid.
    assert found["oracle"] == {
        "p0": ["middle", "big", "small"],
        "p1": ["big", "middle", "small"],
        "p2": ["middle", "big"],
    }
    assert found["persyn_calibration"] == {p: ["middle", "small", "big"] for p in IDS}
    assert notes["left_out"] == {"persyn_alpha_1": "no two teachers' rewards differ"}


def test_a_smaller_beta_makes_car_choose_by_quality_and_a_larger_one_by_likelihood() -> None:
    assert allocated(car_beta=0.0)[1]["teachers"]["car"] == "big"
    # beta 100: big 1 / 201, middle 0.5 / 101: just below; 5 would be 1/11 against 0.5/6.
    quality, nll = {"big": 1.0, "middle": 0.9, "small": 0.0}, {"big": 2, "middle": 1, "small": 0.1}
    scores = merits.car_scores(quality, nll, beta=5.0)
    assert scores == pytest.approx({"big": 1 / 11, "middle": 0.9 / 6, "small": 0.0})


def test_car_scales_negative_rewards_so_that_the_order_is_not_turned_round() -> None:
    scores = merits.car_scores({"a": -1.0, "b": -5.0}, {"a": 1.0, "b": 1.0}, beta=3.0)
    assert scores == pytest.approx({"a": 0.25, "b": 0.0})
    assert merits.car_scores({"a": 2.0, "b": 2.0}, {"a": 1.0, "b": 0.0}, 3.0) == pytest.approx(
        {"a": 0.125, "b": 0.5}
    )


def test_without_a_family_the_strategy_is_left_out_with_its_reason() -> None:
    found, notes = allocated(family=None)
    assert "family_strong" not in found
    assert (
        "no teacher of known quality belongs to the student's family"
        in notes["left_out"]["family_strong"]
    )


def test_the_best_constant_has_the_best_mean_reward_and_a_named_teacher_is_asked_alone() -> None:
    """Mean r, 0 if invalid: big 1.4 / 3, middle 1.8 / 3, small 0.8 / 3. The best r_q is big's."""
    found, notes = allocated(
        strategies=["persyn", "strong", "best_constant"], variants={"just_big": {"teacher": "big"}}
    )
    every = [*IDS, "t0", "t1"]
    assert found["best_constant"] == {p: ["middle", "big", "small"] for p in every}
    assert found["strong"] == {p: ["big", "middle", "small"] for p in every}
    assert found["just_big"] == {p: ["big"] for p in every}
    assert notes["teachers"] == {"just_big": "big", "best_constant": "middle", "strong": "big"}


def test_only_the_strategies_that_are_asked_for() -> None:
    found, notes = allocated(strategies=["persyn", "random"])
    assert set(found) == {"persyn", "persyn_alpha_0", "random"}
    assert notes["teachers"] == {}


@given(st.integers(1, 200), st.floats(0, 1), st.integers(0, 5))
def test_mix_gives_just_its_share_to_the_strong_one(n: int, share: float, seed: int) -> None:
    ids = [f"p{i}" for i in range(n)]
    found = rules.mix(ids, "big", "small", share, seed)
    assert sum(chosen[0] == "big" for chosen in found.values()) == round(share * n)
    assert found == rules.mix(ids[::-1], "big", "small", share, seed)


@given(st.integers(0, 3))
def test_random_choices_are_fair_and_stay_when_prompts_are_added(seed: int) -> None:
    few = rules.at_random([f"p{i}" for i in range(300)], TEACHERS, seed)
    many = rules.at_random([f"p{i}" for i in range(900)], TEACHERS, seed)
    assert few == {p: many[p] for p in few}
    for teacher in TEACHERS:  # 300 expected; five standard deviations are 71
        assert abs(sum(c[0] == teacher for c in many.values()) - 300) < 71


def test_a_pool_without_known_quality_has_no_strong_teacher() -> None:
    table = rewards().set_column(3, "quality", pa.nulls(9, pa.float64()))
    pool = Pool(TEACHERS, dict.fromkeys(TEACHERS), None)
    scores = RouterScores({p: [0.0, 1.0, 2.0] for p in IDS}, {}, {})
    settings = CompareSettings(strategies=["persyn", "strong"])
    _, notes = allocate(IDS, pool, table, {}, scores, settings, seed=1)
    assert notes["left_out"] == {
        "strong": "no response to a calibration prompt has a known quality"
    }
