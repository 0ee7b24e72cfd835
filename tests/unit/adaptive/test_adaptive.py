"""Whom to ask next: what answers say, and the same decisions after a kill. No model runs."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from persyn_kedro.domain.adaptive.batches import answer_adaptively
from persyn_kedro.domain.adaptive.belief import similar_prompts
from persyn_kedro.domain.adaptive.calibration import Calibration
from persyn_kedro.domain.designs.asked import asked_of, with_asked
from persyn_kedro.foundations.settings.design import AdaptiveSettings
from persyn_kedro.foundations.settings.spending import Budget
from persyn_kedro.foundations.tables import schemas

TEACHERS = ["a", "b", "c", "d"]
TOKENS = {"a": 100, "b": 100, "c": 200, "d": 50}
PRICE = {"a": 1.0, "b": 1.0, "c": 2.0, "d": 0.5}


class World:
    """Made-up teachers: a is best on one kind of prompt, b on the other, d nowhere."""

    def __init__(self, count: int = 120) -> None:
        rng = np.random.default_rng(0)
        self.ids = [f"{i:032x}" for i in range(count)]
        kind = np.arange(count) % 2
        self.points = np.eye(2)[kind] + rng.normal(0, 0.1, (count, 2))
        means = np.array([[0.62, 0.54, 0.58, 0.05], [0.54, 0.62, 0.58, 0.05]])
        self.worth = np.clip(means[kind] + rng.normal(0, 0.2, (count, 4)), 0, 1)
        self.asked: list[tuple[str, str]] = []
        self.fail_at: int | None = None

    def ask(self, pairs: np.ndarray) -> tuple[pa.Table, pa.Table]:
        if self.fail_at is not None and len(self.asked) > self.fail_at:
            raise KeyboardInterrupt
        rows = []
        for k, teacher in enumerate(TEACHERS):
            for i in np.flatnonzero(pairs[:, k]):
                self.asked.append((self.ids[i], teacher))
                rows.append(
                    {
                        "teacher": teacher,
                        "response_key": f"{4 * i + k:032x}",
                        "weights_id": "w",
                        "recipe_id": "0" * 32,
                        "prompt_id": self.ids[i],
                        "sample_index": 0,
                        "response": "x",
                        "finish_reason": "stop",
                        "prompt_tokens": 0,
                        "completion_tokens": TOKENS[teacher],
                        "engine": "e",
                    }  # fmt: skip
                )
        calls = [{"teacher": t, "calls": sum(r["teacher"] == t for r in rows)} for t in TEACHERS]
        return pa.Table.from_pylist(rows, schemas.RESPONSES), pa.Table.from_pylist(
            calls, schemas.CALLS
        )

    def rewards(self, responses: pa.Table) -> pa.Table:
        rows = [
            {
                "prompt_id": row["prompt_id"],
                "teacher": row["teacher"],
                "reward": self.worth[int(row["prompt_id"], 16), TEACHERS.index(row["teacher"])],
                "valid": True,
            }
            for row in responses.to_pylist()
        ]
        return with_asked(pa.Table.from_pylist(rows, schemas.REWARDS), asked_of(responses.schema))

    def calibration(self, routed: int = 10_000) -> Calibration:
        recipes: list[Any] = [
            SimpleNamespace(teacher=t, cost=lambda p, c, cached, t=t: PRICE[t]) for t in TEACHERS
        ]
        open_ones = np.arange(len(self.ids)) % 5 > 0  # each fifth prompt is held out
        return Calibration(
            self.ids, self.points, open_ones, recipes, routed, self.ask, self.rewards
        )


SETTINGS = AdaptiveSettings(groups=2, batch=0.25, shrinkage=5)


def told(responses: pa.Table) -> dict[str, Any]:
    asked = asked_of(responses.schema)
    assert asked is not None
    return dict(asked.adaptive)


def test_it_asks_where_the_best_is_uncertain_and_drops_who_is_best_nowhere() -> None:
    world = World()
    responses, calls = answer_adaptively(world.calibration(), SETTINGS, 0)
    rows = responses.to_pylist()
    assert len(rows) == len(set(world.asked)) == len(world.asked) == told(responses)["answers"]
    assert sum(calls["calls"].to_pylist()) == len(rows)
    order = [(TEACHERS.index(r["teacher"]), r["prompt_id"]) for r in rows]
    assert order == sorted(order)  # as one request for all would return them
    assert "d" in told(responses)["dropped"]
    counts = {t: sum(r["teacher"] == t for r in rows) for t in TEACHERS}
    assert counts["d"] == 60  # asked at random, of two of four, and no more
    per_prompt = {i: sum(r["prompt_id"] == i for r in rows) for i in world.ids}
    assert {n for i, n in per_prompt.items() if int(i, 16) % 5 == 0} == {2}  # held out


def test_after_a_kill_the_same_is_asked() -> None:
    whole = World()
    expected, _ = answer_adaptively(whole.calibration(), SETTINGS, 0)
    assert told(expected)["batches"] > 1
    killed = World()
    killed.fail_at = 245  # in the second batch after the first answers
    with pytest.raises(KeyboardInterrupt):
        answer_adaptively(killed.calibration(), SETTINGS, 0)
    killed.fail_at = None
    found, _ = answer_adaptively(killed.calibration(), SETTINGS, 0)
    assert found.equals(expected, check_metadata=True)


def test_it_ends_when_more_does_not_pay_and_says_so() -> None:
    few, _ = answer_adaptively(World().calibration(routed=1), SETTINGS, 0)
    assert told(few)["batches"] == 0 and len(few) == 240
    assert "take about" in told(few)["why"] and "for each of 1 prompts" in told(few)["why"]
    worth = SETTINGS.model_copy(update={"reward_worth": 1e6})
    many, _ = answer_adaptively(World().calibration(), worth, 0)
    assert len(many) > len(few)


@pytest.mark.parametrize(
    ("budget", "unit"), [(Budget(max_tokens=30_000), TOKENS), (Budget(max_cost=280.0), PRICE)]
)
def test_it_stays_within_its_budget(budget: Budget, unit: dict[str, float]) -> None:
    settings = SETTINGS.model_copy(update={"budget": budget, "reward_worth": 1e6})
    responses, _ = answer_adaptively(World().calibration(), settings, 0)
    spent = sum(unit[t] for t in responses["teacher"].to_pylist())
    limit = budget.max_tokens or budget.max_cost or 0
    assert 0.98 * limit < spent <= limit
    assert told(responses)["why"] == "label.design.adaptive.budget is used up"


@pytest.mark.parametrize("budget", [Budget(max_tokens=9_000), Budget(max_cost=90.0)])
def test_the_first_answers_stay_within_the_budget_too(budget: Budget) -> None:
    """All of them would take 27,000 tokens and cost 270."""
    world = World()
    responses, _ = answer_adaptively(
        world.calibration(), SETTINGS.model_copy(update={"budget": budget}), 0
    )
    unit, limit = (TOKENS, 9_000.0) if budget.max_tokens else (PRICE, 90.0)
    spent = sum(unit[t] for t in responses["teacher"].to_pylist())
    assert 0.95 * limit < spent <= limit
    assert told(responses)["why"] == "label.design.adaptive.budget is used up"
    assert told(responses)["batches"] == 0
    # A random part of the prompts, each asked of two, and the teachers balanced.
    counts = [responses["teacher"].to_pylist().count(t) for t in TEACHERS]
    assert max(counts) - min(counts) <= 1
    ids = responses["prompt_id"].to_pylist()
    assert {ids.count(i) for i in ids} == {2}
    note = asked_of(responses.schema)
    assert note is not None  # what is said to be asked at random of these prompts alone is that
    own = sorted(set(ids))
    pairs = {(own[i], TEACHERS[k]) for i, k in zip(*np.nonzero(note.first(own)), strict=True)}
    assert pairs == set(world.asked)


def test_a_budget_that_is_never_reached_changes_nothing() -> None:
    free, _ = answer_adaptively(World().calibration(), SETTINGS, 0)
    wide = SETTINGS.model_copy(update={"budget": Budget(max_tokens=10**9)})
    assert answer_adaptively(World().calibration(), wide, 0)[0].equals(free, check_metadata=True)


def test_prompts_held_out_decide_nothing() -> None:
    """They measure the router, so their answers must not say whom the others are asked."""
    world, other = World(), World()
    other.worth[::5] = 1 - other.worth[::5]
    found = [answer_adaptively(w.calibration(), SETTINGS, 0)[0] for w in (world, other)]
    assert told(found[0])["batches"] > 0
    assert found[0].equals(found[1], check_metadata=True)


def test_the_result_hangs_on_the_seed() -> None:
    first, again, other = (
        answer_adaptively(World().calibration(), SETTINGS, seed)[0] for seed in (0, 0, 1)
    )
    assert first.equals(again) and not first.equals(other)


def test_groups_are_of_similar_prompts() -> None:
    world = World()
    groups = similar_prompts(world.points, 2, 0)
    assert (groups == groups[0]).tolist() == [i % 2 == 0 for i in range(len(groups))]
    assert set(similar_prompts(np.zeros((4, 2)), 8, 0)) == {0}  # all alike
