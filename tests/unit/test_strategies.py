"""Baselines by METHOD.md, on numbers worked out by hand."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persyn_kedro.domain.strategies import choices, merits
from persyn_kedro.domain.strategies.allocation import Pool, allocate
from persyn_kedro.domain.strategies.costs import price_strategies, strategy_tokens
from persyn_kedro.domain.strategies.examples import strategy_examples
from persyn_kedro.domain.strategies.generation import generate_side_by_side
from persyn_kedro.foundations import schemas
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.evidence_parameters import CompareSettings
from persyn_kedro.foundations.parameters import GenerateSettings, Teachers, TeacherSettings

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


def allocated(**settings: Any) -> tuple[dict[str, dict[str, list[str]]], dict[str, Any]]:
    families = {"big": "q", "middle": "s", "small": "s"}
    scores = {p: [0.0, 1.0, 2.0] for p in [*IDS, "t0", "t1"]}
    table, notes = allocate(
        [*IDS, "t0", "t1"],
        Pool(TEACHERS, families, settings.pop("family", "s")),
        rewards(),
        scores,
        {0.0: {p: [3.0, 1.0, 2.0] for p in scores}, 1.0: {}},
        {p: [0.0, 2.0, 1.0] for p in IDS},
        CompareSettings(**settings),
        seed=7,
    )
    found: dict[str, dict[str, list[str]]] = {}
    for row in table.to_pylist():
        found.setdefault(row["strategy"], {})[row["prompt_id"]] = row["choices"]
    return found, notes


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
    assert notes["left_out"] == {"persyn_alpha_1": "no two teachers' rewards differ at this alpha"}


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
        "no teacher of known quality is of the student's family"
        in notes["left_out"]["family_strong"]
    )


def test_only_the_strategies_that_are_asked_for() -> None:
    found, notes = allocated(strategies=["persyn", "random"])
    assert set(found) == {"persyn", "persyn_alpha_0", "random"}
    assert notes["teachers"] == {}


@given(st.integers(1, 200), st.floats(0, 1), st.integers(0, 5))
def test_mix_gives_just_its_share_to_the_strong_one(n: int, share: float, seed: int) -> None:
    ids = [f"p{i}" for i in range(n)]
    found = choices.mix(ids, "big", "small", share, seed)
    assert sum(chosen[0] == "big" for chosen in found.values()) == round(share * n)
    assert found == choices.mix(ids[::-1], "big", "small", share, seed)


@given(st.integers(0, 3))
def test_random_choices_are_fair_and_stay_when_prompts_are_added(seed: int) -> None:
    few = choices.at_random([f"p{i}" for i in range(300)], TEACHERS, seed)
    many = choices.at_random([f"p{i}" for i in range(900)], TEACHERS, seed)
    assert few == {p: many[p] for p in few}
    for teacher in TEACHERS:  # 300 expected; five standard deviations are 71
        assert abs(sum(c[0] == teacher for c in many.values()) - 300) < 71


# Generation side by side.

RIGHT = {("p0", "small"), ("p1", "big")}


def generated(
    allocation: dict[str, choices.Choices], **settings: Any
) -> tuple[dict[str, set[tuple[str, str]]], dict[str, int], list[dict[str, list[str]]]]:
    asked_for: list[dict[str, list[str]]] = []

    def ask(wanted: dict[str, list[tuple[str, str]]]) -> tuple[pa.Table, pa.Table]:
        asked_for.append({t: [p for p, _ in pairs] for t, pairs in wanted.items()})
        rows = [
            {"teacher": t, "prompt_id": p, "response_key": f"{t}:{p}", "finish_reason": "stop"}
            for t, pairs in wanted.items()
            for p, _ in pairs
        ]
        return pa.Table.from_pylist(rows, schemas.RESPONSES), schemas.CALLS.empty_table()

    def check(responses: pa.Table) -> pa.Table:
        rows = [
            {**r, "quality": float((r["prompt_id"], r["teacher"]) in RIGHT)}
            for r in responses.to_pylist()
        ]
        return pa.Table.from_pylist(rows, schemas.QUALITY)

    prompts = {p: f"text of {p}" for p in IDS}
    table, asked = generate_side_by_side(
        prompts, allocation, TEACHERS, GenerateSettings(**settings), False, ask, check
    )
    kept: dict[str, set[tuple[str, str]]] = {name: set() for name in allocation}
    for row in table.to_pylist():
        kept[row["strategy"]].add((row["prompt_id"], row["teacher"]))
    return kept, {name: len(rows) for name, rows in asked.items()}, asked_for


ALLOCATION = {
    "persyn": {"p0": ["small", "big"], "p1": ["small", "big"], "p2": ["middle", "big"]},
    "strong": {p: ["big", "middle"] for p in IDS},
}


def test_what_several_strategies_want_is_asked_once() -> None:
    kept, counts, asked_for = generated(ALLOCATION)
    assert asked_for == [{"big": IDS, "middle": ["p2"], "small": ["p0", "p1"]}]
    assert kept["persyn"] == {("p0", "small"), ("p1", "small"), ("p2", "middle")}
    assert kept["strong"] == {(p, "big") for p in IDS}
    assert counts == {"persyn": 3, "strong": 3}


def test_every_strategy_keeps_to_the_rule_of_verification() -> None:
    kept, counts, asked_for = generated(ALLOCATION, verification="next_choice", max_calls=2)
    assert kept["persyn"] == {("p0", "small"), ("p1", "big")}  # p2: both wrong
    assert kept["strong"] == {("p1", "big")}
    assert counts == {"persyn": 5, "strong": 5}
    assert asked_for[1] == {"big": ["p1", "p2"], "middle": ["p0", "p2"]}
    assert generated(ALLOCATION, verification="drop")[0]["strong"] == {("p1", "big")}


# Costs and examples.


def answered(teacher: str, prompt_id: str, tokens: int, **more: Any) -> dict[str, Any]:
    return {
        "teacher": teacher,
        "prompt_id": prompt_id,
        "response_key": f"{teacher}:{prompt_id}",
        "prompt_tokens": 10,
        "completion_tokens": tokens,
        "engine": "vllm",
        **more,
    }


PRICED = Teachers(
    {
        "big": TeacherSettings(model="m", price=2e6, prompt_price=1e6),
        "small": TeacherSettings(model="m", system="!", price=1e6),
    }
)


def test_costs_count_the_calibration_answers_that_choosing_needs_once() -> None:
    calibration = [answered(name, "p0", tokens) for name, tokens in (("big", 5), ("small", 7))]
    asked = {
        "persyn": [answered("small", "p0", 7), answered("big", "p1", 11)],
        "random": [answered("big", "p0", 5), answered("big", "p1", 11, engine=None)],
        "family_strong": [answered("small", "p1", 3)],
    }
    choices = {name: {"p0": ["big", "small"]} for name in asked}
    choices["family_strong"] = {"p0": ["small"]}  # a family of one: nothing to choose
    table = strategy_tokens(
        asked, choices, pa.Table.from_pylist(calibration, schemas.RESPONSES), ["big", "small"]
    )
    found = price_strategies(table, PRICED)
    assert found["persyn"] == {
        "calls": 2, "prompt_tokens": 20, "completion_tokens": 18, "cost": 7 + 2 * 11 + 10,
        # And big's answer to p0; small's is in the set already.
        "whole_calls": 3, "whole_prompt_tokens": 30, "whole_completion_tokens": 23,
        "whole_cost": 7 + 2 * 16 + 20,
    }  # fmt: skip
    # Chance needs no calibration; what was never asked costs nothing.
    assert (found["random"]["calls"], found["random"]["whole_calls"]) == (1, 1)
    assert found["random"]["whole_cost"] == 20
    assert (found["family_strong"]["whole_calls"], found["family_strong"]["whole_cost"]) == (1, 3)


def examples_of(
    responses: dict[str, dict[str, str]], too_long: tuple[str, ...] = (), **settings: Any
) -> tuple[dict[str, list[str]], dict[str, Any]]:
    rows = [
        {
            "strategy": name,
            **answered(
                "big", p, 3, finish_reason=reason, response="" if reason == "error" else f"to {p}"
            ),
        }
        for name, own in responses.items()
        for p, reason in own.items()
    ]
    table, notes = strategy_examples(
        pa.Table.from_pylist(rows, schemas.STRATEGY_RESPONSES),
        {name: list(own) for name, own in responses.items()},
        {p: f"text of {p}" for p in IDS},
        {"big": "strip"},
        allow_truncated=False,
        fits=lambda prompt, response: prompt not in [f"text of {p}" for p in too_long],
        settings=CompareSettings(**settings),
    )
    found: dict[str, list[str]] = {}
    for row in table.to_pylist():
        found.setdefault(row["strategy"], []).append(row["prompt_id"])
        prompt_id = row["prompt_id"]
        assert (row["prompt"], row["response"]) == (f"text of {prompt_id}", f"to {prompt_id}")
    return found, notes


@pytest.mark.parametrize(
    ("common", "expected"),
    [
        (
            True,
            {"persyn": ["p1"], "strong": ["p1"], "oracle": ["p0"], "persyn_calibration": ["p0"]},
        ),
        (
            False,
            {
                "persyn": ["p0", "p1"],
                "strong": ["p1", "p2"],
                "oracle": ["p0", "p1"],
                "persyn_calibration": ["p0"],
            },
        ),
    ],
)
def test_strategies_share_their_prompts(common: bool, expected: dict[str, list[str]]) -> None:
    responses = {
        "persyn": {"p1": "stop", "p0": "stop", "p2": "length"},
        "strong": {"p0": "error", "p1": "stop", "p2": "stop"},
        "oracle": {"p0": "stop", "p1": "stop"},
        "persyn_calibration": {"p0": "stop", "p1": "error"},
    }
    found, notes = examples_of(responses, examples="common" if common else "own")
    assert found == expected
    assert notes["left_out"] == {}
    assert notes["prompts"] == {"persyn": 3, "strong": 3, "oracle": 2, "persyn_calibration": 2}
    assert notes["usable"] == {"persyn": 2, "strong": 2, "oracle": 2, "persyn_calibration": 1}


def test_what_is_too_long_for_one_student_is_left_out_for_all() -> None:
    every = dict.fromkeys(IDS, "stop")
    found, _ = examples_of({"persyn": every, "strong": every}, too_long=("p1",))
    assert found == {"persyn": ["p0", "p2"], "strong": ["p0", "p2"]}


def test_a_strategy_with_next_to_nothing_is_left_out_instead_of_the_prompts() -> None:
    every = dict.fromkeys(IDS, "stop")
    weak = {"p0": "stop", "p1": "error", "p2": "length"}
    found, notes = examples_of({"persyn": every, "mix": weak, "car": dict.fromkeys(IDS, "error")})
    assert found == {"persyn": IDS}
    assert notes["left_out"] == {
        "mix": "only 1 of its 3 answers may be trained on",
        "car": "only 0 of its 3 answers may be trained on",
    }
    assert set(examples_of({"persyn": every, "mix": weak}, min_share=0.3)[0]) == {"persyn", "mix"}
    with pytest.raises(PersynError, match="PerSyn cannot be compared: only 1 of its 3 answers"):
        examples_of({"persyn": weak, "mix": every})


def test_strategies_without_a_prompt_in_common_are_refused_by_name() -> None:
    responses = {"persyn": {"p0": "stop"}, "strong": {"p1": "stop"}}
    with pytest.raises(PersynError, match="in every strategy .persyn has the fewest, 1"):
        examples_of(responses)


def test_a_pool_without_known_quality_has_no_strong_teacher() -> None:
    table = rewards().set_column(3, "quality", pa.nulls(9, pa.float64()))
    _, notes = allocate(
        IDS, Pool(TEACHERS, dict.fromkeys(TEACHERS), None), table,
        {p: [0.0, 1.0, 2.0] for p in IDS}, {}, {}, CompareSettings(strategies=["persyn", "strong"]),
        seed=1,
    )  # fmt: skip
    assert notes["left_out"] == {
        "strong": "no response to a calibration prompt has a known quality"
    }
