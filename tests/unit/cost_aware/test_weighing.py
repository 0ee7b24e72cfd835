"""Choices by score and cost, within limits: small cases worked out by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from persyn_kedro.domain.cost_aware.asked import Asked
from persyn_kedro.domain.cost_aware.expected import CostModel
from persyn_kedro.domain.cost_aware.weighing import price_of, weigh
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.route import RouteSettings, check_route
from persyn_kedro.foundations.settings.teachers import Teachers


def line(tokens: float, price: float) -> dict[str, Any]:
    return {
        "completion": [tokens, 0.0, tokens, tokens],
        "prompt": [10.0, 0.0],
        "completion_price": price,
        "prompt_price": 0.0,
    }


# A dear teacher of 100 tokens and a cheap one of 20, both with a prompt of 10.
COSTS = CostModel({"dear": line(90, 0.02), "cheap": line(10, 0.01)})
SCORES = np.array([[0.9, 0.1], [0.7, 0.2], [0.6, 0.5], [0.2, 0.4], [0.8, 0.0]], np.float32)


def asked(calibration: int = 0, counted: int = 5, answers: int = 1) -> Asked:
    place = np.arange(5)
    return Asked(np.ones(5), place < counted, place < calibration, answers, np.ones(2))


def choose(
    asked: Asked, scale: float | None = 1.0, **route: Any
) -> tuple[list[int], dict[str, Any]]:
    worth, note = weigh(SCORES, asked, COSTS, scale, RouteSettings(**route))
    return worth.argmax(axis=1).tolist(), note


def test_a_cost_weight_is_reward_per_token() -> None:
    """The dear answer takes 80 tokens more: at 0.005 it must be worth 0.4 more."""
    assert choose(asked(), objective={"cost_weight": 0.005})[0] == [0, 0, 1, 1, 0]
    assert choose(asked(), objective={"cost_weight": 0.007})[0] == [0, 1, 1, 1, 0]
    # Scores worth half as much in rewards.
    assert choose(asked(), 0.5, objective={"cost_weight": 0.0035})[0] == [0, 1, 1, 1, 0]
    # In money the dear one costs 1.8 - 0.1 more.
    priced = {"cost_weight": 0.35, "cost": "money"}
    assert choose(asked(), objective=priced)[0] == [0, 1, 1, 1, 0]


def test_answers_that_are_there_have_no_price() -> None:
    assert choose(asked(calibration=3), objective={"cost_weight": 1.0})[0] == [0, 0, 0, 1, 1]
    # With two answers wanted, one of each is still to be asked for.
    both = asked(calibration=3, answers=2)
    assert choose(both, objective={"cost_weight": 1.0})[0] == [1, 1, 1, 1, 1]


def test_what_an_incomplete_design_did_not_ask_has_its_price() -> None:
    """Of three calibration prompts the dear teacher was asked the first two alone."""
    unasked = np.array([[False, True], [False, False], [True, False]])
    three = replace(asked(calibration=3), unasked=unasked)
    found, note = choose(three, objective={"cost_weight": 1.0})
    assert found == [0, 0, 1, 1, 1]  # the third would cost the dear answer
    assert note["expected"]["tokens"] == 2 * 20
    found, note = choose(three, None, budget={"max_tokens": 220})
    # All dear ones: 0, 0, 100, 100, 100; the third gains only 0.1 by it, the fourth loses.
    assert found == [0, 0, 0, 1, 0] and note["expected"]["tokens"] == 220
    found, note = choose(three, None, budget={"max_tokens": 219})
    assert found == [0, 0, 1, 1, 0] and note["expected"]["tokens"] == 120
    for place in range(5):
        here = unasked[place].tolist() if place < 3 else None
        price = price_of(note, COSTS, 1, place < 3, here)
        np.testing.assert_allclose(
            price, note["prices"]["tokens"] * three.lacking[place] * [100, 20]
        )


@pytest.mark.parametrize(
    ("tokens", "chosen"),
    [(500, [0, 0, 0, 1, 0]), (340, [0, 0, 1, 1, 0]), (339, [0, 1, 1, 1, 0]), (100, [1] * 5)],
)
def test_a_budget_goes_where_it_is_worth_most(tokens: int, chosen: list[int]) -> None:
    found, note = choose(asked(), None, budget={"max_tokens": tokens})
    assert found == chosen
    assert note["expected"]["tokens"] == 100 + 80 * chosen.count(0) <= tokens
    assert note["by_score_alone"]["tokens"] == 420
    assert note["moved"] == sum(a != b for a, b in zip(chosen, [0, 0, 0, 1, 0], strict=True))


def test_a_budget_in_money_and_prompts_that_are_not_counted() -> None:
    found, note = choose(asked(counted=4), None, budget={"max_cost": 2.2})
    assert found[:4] == [0, 1, 1, 1]
    assert note["expected"]["money"] == pytest.approx(1.8 + 3 * 0.1)


def test_capacities_move_those_that_lose_least() -> None:
    found, note = choose(asked(), None, capacity={"dear": 0.5})
    assert found == [0, 1, 1, 1, 0]
    assert note["places"]["dear"] > 0 and note["places"]["cheap"] == 0
    assert note["score_lost"] == pytest.approx((0.5 + 0.1) / 5)


def test_shares_that_add_up_to_one_leave_out_no_prompt() -> None:
    found, _ = choose(asked(), None, capacity={"dear": 0.3, "cheap": 0.7})
    assert sorted(found) in ([0, 1, 1, 1, 1], [0, 0, 1, 1, 1])


def test_the_note_gives_what_was_taken_off_a_score() -> None:
    route = RouteSettings(objective={"cost_weight": 0.001}, capacity={"dear": 0.5})  # type: ignore[arg-type]
    worth, note = weigh(SCORES, asked(calibration=1), COSTS, 0.5, route)
    for i in (0, 1, 2):
        price = price_of(note, COSTS, 1, i == 0)
        assert worth[i] == pytest.approx(SCORES[i] - price, abs=1e-6)


def test_a_budget_below_the_cheapest_answers_is_refused_with_what_they_take() -> None:
    with pytest.raises(PersynError, match=r"max_tokens is 99, but the cheapest .* to take 100:"):
        choose(asked(), None, budget={"max_tokens": 99})
    # Two at most may be cheap, so three answers are dear.
    with pytest.raises(PersynError, match=r"within route\.capacity are expected to take 340:"):
        choose(asked(), None, budget={"max_tokens": 300}, capacity={"cheap": 0.4})


@pytest.mark.parametrize("scale", [None, 0.0, -0.1, float("nan")])
def test_scores_that_say_nothing_of_rewards_are_not_weighed(scale: float | None) -> None:
    with pytest.raises(PersynError, match="do not rise with the rewards"):
        choose(asked(), scale, objective={"cost_weight": 0.1})


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"capacity": {"c": 0.5}}, "route.capacity names 'c', which is not a teacher"),
        ({"capacity": {"a": 0.5, "b": 0.4}}, "leaves room for 0.9 of the prompts"),
        ({"budget": {"max_cost": 1.0}}, "max_cost is set, but no teacher has a price"),
        ({"objective": {"cost_weight": 1.0, "cost": "money"}}, "cost is money, but no teacher"),
    ],
)
def test_limits_that_cannot_be_are_refused_before_a_run(route: dict[str, Any], said: str) -> None:
    teachers = Teachers.model_validate({name: {"model": "m"} for name in "ab"})
    with pytest.raises(PersynError, match=said):
        check_route(RouteSettings(**route), teachers)
    check_route(RouteSettings(capacity={"a": 0.5, "b": 0.5}), teachers)
