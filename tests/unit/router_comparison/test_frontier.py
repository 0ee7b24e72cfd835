"""Reward against cost by cost weight, on prompts whose rewards and costs are given."""

from typing import Any

import numpy as np
import pytest

from persyn_kedro.domain.comparison.strategies.cheap import cheap_scores
from persyn_kedro.domain.cost_aware.expected import CostModel
from persyn_kedro.domain.reporting import frontier_figures
from persyn_kedro.domain.router_comparison.frontier import Measured, trace_frontier
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings
from persyn_kedro.foundations.tables.checks import TableCheck

SETTINGS = CompareRoutersSettings(resamples=200)
# The scores are the rewards. A dear teacher of 100 tokens gains 0.4, 0.2, 0.1 and -0.1.
REWARDS = np.array([[0.9, 0.5], [0.7, 0.5], [0.6, 0.5], [0.4, 0.5]])
TOKENS = np.tile([100.0, 20.0], (4, 1))


def measured(scores: np.ndarray = REWARDS) -> Measured:
    used = {"tokens": TOKENS + 10, "completion_tokens": TOKENS, "cost": TOKENS / 1e3}
    return Measured(scores, REWARDS, TOKENS, used)


def traced(scores: np.ndarray = REWARDS, share: float = 0.95) -> list[dict[str, Any]]:
    table = trace_frontier(measured(scores), ["dear", "cheap"], "tokens", share, SETTINGS, 1)
    TableCheck("frontier", "frontier", table.schema).check(table)
    return table.to_pylist()


def test_cost_weights_go_from_nothing_to_all_to_the_cheapest() -> None:
    weights = measured().weights(8)
    assert weights == sorted(weights) and weights[0] == 0
    assert 0 < weights[1] <= 0.1 / 80 and weights[-1] > 0.4 / 80
    assert measured().chosen(0).tolist() == [0, 0, 0, 1]
    assert measured().chosen(0.2 / 80 + 1e-9).tolist() == [0, 1, 1, 1]
    assert measured().chosen(weights[-1]).tolist() == [1, 1, 1, 1]


def test_points_are_means_of_true_rewards_and_of_what_answers_took() -> None:
    rows = traced()
    router = [row for row in rows if row["policy"] == "router"]
    assert router[0]["reward"] == pytest.approx((0.9 + 0.7 + 0.6 + 0.5) / 4)
    assert router[0]["completion_tokens"] == pytest.approx(80)
    assert router[0]["reward_lost"] == 0
    assert router[-1]["reward"] == pytest.approx(0.5)
    assert router[-1]["tokens"] == pytest.approx(30)
    assert router[-1]["reward_lost"] == pytest.approx(0.175)
    assert router[-1]["reward_lost_low"] < 0.175 < router[-1]["reward_lost_high"]
    others = {row["name"]: row for row in rows if row["cost_weight"] is None}
    assert list(others) == ["dear", "cheap", "random"]
    assert others["dear"]["reward"] == pytest.approx(0.65)
    assert others["random"]["completion_tokens"] == pytest.approx(60)
    assert all(row["setting"] is None for row in rows if row["policy"] != "router")


def test_no_router_is_above_the_oracle_at_the_same_weight() -> None:
    draw = np.random.default_rng(3)
    rows = traced(REWARDS + draw.normal(0, 0.05, REWARDS.shape))
    worth = {
        (r["policy"], r["cost_weight"]): r["reward"] - r["cost_weight"] * r["completion_tokens"]
        for r in rows
        if r["cost_weight"] is not None
    }
    weights = {weight for _, weight in worth}
    assert all(worth["oracle", w] >= worth["router", w] - 1e-9 for w in weights)


def test_the_cheapest_point_that_keeps_the_reward_is_marked_with_its_setting() -> None:
    """0.95 of 0.675 is 0.641: without the dear answer that gains 0.1 it is 0.65, then 0.6."""
    (kept,) = [row for row in traced() if row["kept"]]
    assert kept["reward"] == pytest.approx(0.65)
    assert 0.1 / 80 < kept["cost_weight"] < 0.2 / 80
    assert kept["setting"] == (
        f"route.objective: {{cost_weight: {kept['cost_weight']:g}, cost: tokens}}"
    )
    (kept,) = [row for row in traced(share=1.0) if row["kept"]]
    assert kept["reward"] == pytest.approx(0.675)


def test_a_weight_is_marked_though_a_smaller_one_happens_to_keep_less() -> None:
    """The first prompt to change loses 0.3, the second wins 0.35 by changing: 0.95 is kept then."""
    scores = np.array([[0.52, 0.5], [0.54, 0.5], [0.9, 0.1], [0.9, 0.1]])
    rewards = np.array([[0.8, 0.5], [0.3, 0.65], [0.9, 0.1], [0.9, 0.1]])
    found = Measured(scores, rewards, TOKENS, {})
    lost = 0.04 * found.scale / 80
    assert found._reward(0.75 * lost) == pytest.approx(2.6 / 4)  # 2.9 at weight 0
    weight = found.cheap_weight(0.95)
    assert lost < weight < 0.8 * found.scale / 80
    assert found._reward(weight) == pytest.approx(2.95 / 4)


def made_up(seed: int, count: int = 80) -> Measured:
    """Return noisy rewards of a dear teacher, a little better, and a cheap one."""
    rng = np.random.default_rng(seed)
    gain = rng.normal(0.1, 0.15, count)
    rewards = 0.5 + np.stack([gain, np.zeros(count)], axis=1) + rng.normal(0, 0.3, (count, 2))
    scores = 0.5 + np.stack([gain + rng.normal(0, 0.1, count), np.zeros(count)], axis=1)
    tokens = np.tile([100.0, 20.0], (count, 1))
    return Measured(scores, rewards, tokens, {"tokens": tokens, "completion_tokens": tokens,
                                              "cost": tokens})  # fmt: skip


def test_what_a_marked_weight_gives_is_measured_on_prompts_that_it_was_not_chosen_on() -> None:
    differences = []
    for seed in range(12):
        found = made_up(seed)
        table = trace_frontier(found, ["dear", "cheap"], "tokens", 0.99, SETTINGS, 1)
        rows = table.to_pylist()
        (marked,) = [row for row in rows if row["kept"]]
        (nested,) = [row for row in rows if row["policy"] == "nested"]
        # What the marked weight gives on many new prompts, and what was said of it.
        new = made_up(1000 + seed, 5_000)
        chosen = new.chosen(marked["cost_weight"], found.scale)
        true = np.take_along_axis(new.rewards, chosen[:, None], 1).mean()
        true_at_0 = np.take_along_axis(new.rewards, new.chosen(0.0)[:, None], 1).mean()
        lost = true_at_0 - true
        differences.append([marked["reward_lost"] - lost, nested["reward_lost"] - lost])
    flattered, honest = np.mean(differences, axis=0)
    assert (
        flattered < -0.01 and flattered < honest - 0.01
    )  # it seems to lose a reward of 0.01 and more too little
    assert abs(honest) < 0.01
    said = frontier_figures.sentences(rows)
    assert len(said) == 2 and "expect this of new prompts" in said[1]


def test_scores_that_say_nothing_have_one_point() -> None:
    rows = traced(REWARDS[:, ::-1])
    assert [row["cost_weight"] for row in rows if row["policy"] == "router"] == [0.0]
    assert "no cost weight to choose" in frontier_figures.sentences(rows)[0]


def test_without_a_comparable_prompt_there_is_nothing() -> None:
    none = Measured(REWARDS[:0], REWARDS[:0], TOKENS[:0], {})
    table = trace_frontier(none, ["dear", "cheap"], "tokens", 0.99, SETTINGS, 1)
    assert not len(table)
    assert "nothing to measure" in frontier_figures.sentences([])[0]
    assert frontier_figures.frontier_plot([]).empty


def test_text_and_plot_show_the_points() -> None:
    rows = traced()
    cells = frontier_figures.frontier_rows(rows)
    assert all(len(line) == len(frontier_figures.COLUMNS) for line in cells)
    assert [line[0] for line in cells].count("oracle") == 1
    (said,) = frontier_figures.sentences(rows)
    assert "96.3 % of the reward with 75.0 % of the completion tokens" in said
    chart = frontier_figures.frontier_plot(rows)
    assert [series.name for series in chart.series] == [
        "Router", "Oracle", "dear", "cheap", "random"
    ]  # fmt: skip
    assert chart.series[0].notes[0].startswith("route.objective")  # type: ignore[index]


def test_persyn_cheap_takes_the_price_off_the_scores_of_train_prompts() -> None:
    line = {"prompt": [1.0, 0.0], "completion_price": 0.0, "prompt_price": 0.0}
    costs = CostModel(
        {
            name: {**line, "completion": [tokens, 0.0, tokens, tokens]}
            for name, tokens in (("dear", 99.0), ("cheap", 19.0))
        }
    )
    held_out = {f"c{i}": row for i, row in enumerate(REWARDS.tolist())}
    routed = {**held_out, "t1": [0.9, 0.5], "t2": [0.6, 0.5]}
    sizes = dict.fromkeys(routed, 9)
    given = (routed, held_out, (list(held_out), REWARDS), costs, sizes, "tokens")
    found = cheap_scores(*given, 0.95)  # type: ignore[arg-type]
    assert isinstance(found, dict)
    best = {name: int(np.argmax(row)) for name, row in found.items()}
    assert best == {"c0": 0, "c1": 0, "c2": 0, "c3": 1, "t1": 0, "t2": 1}
    # Of an incomplete design, a calibration answer that was not asked for has its price too.
    answered = np.array([[False, True], [True, True], [True, True], [True, True]])
    some = cheap_scores(*given, 0.95, answered)  # type: ignore[arg-type]
    assert isinstance(some, dict) and some["c1"] == found["c1"]
    assert some["c0"][0] < found["c0"][0] and some["c0"][1] == found["c0"][1]
    turned = {name: row[::-1] for name, row in held_out.items()}
    assert "no cost weight" in str(cheap_scores(routed, turned, *given[2:], 0.9))  # type: ignore[arg-type]
    nothing = (["c0"], np.full((1, 2), np.nan))
    assert "no calibration prompt" in str(
        cheap_scores(routed, held_out, nothing, costs, sizes, "tokens", 0.9)
    )
