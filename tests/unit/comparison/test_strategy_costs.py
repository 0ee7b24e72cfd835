"""What each strategy would have cost alone, on numbers worked out by hand."""

from typing import Any

import pyarrow as pa
import pytest

from persyn_kedro.domain.comparison.strategies.costs import (
    Calibration,
    price_strategies,
    strategy_prompts,
    strategy_tokens,
)
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.prices import prices_of
from persyn_kedro.foundations.settings.teachers import Teachers, TeacherSettings
from persyn_kedro.foundations.tables import schemas


def answered(teacher: str, prompt_id: str, tokens: int, **more: Any) -> dict[str, Any]:
    return {
        "teacher": teacher,
        "prompt_id": prompt_id,
        "response_key": f"{teacher}:{prompt_id}",
        "prompt_tokens": 10,
        "completion_tokens": tokens,
        "cached_prompt_tokens": None,
        "engine": "vllm",
        **more,
    }


ONE = Models.model_validate({"m": {"random": "chat"}})
PRICED = Teachers(
    {
        "big": TeacherSettings(model="m", price=2e6, prompt_price=1e6),
        "small": TeacherSettings(model="m", system="!", price=1e6),
    }
)


def calibrated(choices: dict[str, dict[str, list[str]]], rows: list[dict[str, Any]]) -> Calibration:
    table = pa.Table.from_pylist(rows, schemas.RESPONSES)
    return Calibration(table, choices, ["big", "small"], blind={"random"})


def test_costs_count_the_calibration_answers_that_choosing_needs_once() -> None:
    calibration = [answered(name, "p0", tokens) for name, tokens in (("big", 5), ("small", 7))]
    asked = {
        "persyn": [answered("small", "p0", 7), answered("big", "p1", 11)],
        "random": [answered("big", "p0", 5), answered("big", "p1", 11, engine=None)],
        "family_strong": [answered("small", "p1", 3)],
    }
    choices = {name: {"p0": ["big", "small"]} for name in asked}
    choices["family_strong"] = {"p0": ["small"]}  # a family of one: nothing to choose
    known = calibrated(choices, calibration)
    table = strategy_tokens(asked, known, ["big", "small"])
    found = price_strategies(table, prices_of(PRICED, ONE))
    assert found["persyn"] == {
        "calls": 2, "prompt_tokens": 20, "completion_tokens": 18, "cached_prompt_tokens": 0,
        "cost": 7 + 2 * 11 + 10,
        # And big's answer to p0; small's is in the set already.
        "whole_calls": 3, "whole_prompt_tokens": 30, "whole_completion_tokens": 23,
        "whole_cached_prompt_tokens": 0, "whole_cost": 7 + 2 * 16 + 20,
    }  # fmt: skip
    # Chance needs no calibration; what was never asked costs nothing.
    assert (found["random"]["calls"], found["random"]["whole_calls"]) == (1, 1)
    assert found["random"]["whole_cost"] == 20
    assert (found["family_strong"]["whole_calls"], found["family_strong"]["whole_cost"]) == (1, 3)

    choices = {name: {"p1": [], "p0": [], "p2": []} for name in asked}  # p2 was not taken
    rows = strategy_prompts(asked, choices, known).to_pylist()
    counts = ("strategy", "prompt_id", "completion_tokens", "added_tokens")
    assert [tuple(row[c] for c in counts) for row in rows] == [
        ("persyn", "p1", 11, 11),
        ("persyn", "p0", 7, 0),  # it chooses by this answer
        ("random", "p1", 0, 0),
        ("random", "p0", 5, 5),
        ("family_strong", "p1", 3, 3),
    ]


@pytest.mark.parametrize(("price", "cost"), [(None, 5 + 10), (0.0, 5 + 6), (2.5e5, 5 + 7)])
def test_cached_prompt_tokens_have_their_own_price_if_there_is_one(
    price: float | None, cost: float
) -> None:
    big = TeacherSettings(model="m", price=1e6, prompt_price=1e6, cached_prompt_price=price)
    asked = {"random": [answered("big", "p0", 5, cached_prompt_tokens=4)]}
    none = calibrated({"random": {"p0": ["big"]}}, [])
    table = strategy_tokens(asked, none, ["big", "small"])
    pool = prices_of(Teachers({"big": big, "small": PRICED.root["small"]}), ONE)
    assert price_strategies(table, pool)["random"]["cost"] == cost
    before = table.drop_columns(["cached_prompt_tokens", "whole_cached_prompt_tokens"])
    old = pa.Table.from_pylist(before.to_pylist(), schemas.STRATEGY_TOKENS)  # null: it said nothing
    assert price_strategies(old, pool)["random"]["cost"] == 5 + 10


def test_a_batch_api_lowers_the_cost_by_its_factor() -> None:
    endpoint = {"url": "http://h/v1", "model": "m", "batch": "openai", "batch_price_factor": 0.25}
    batch = prices_of(PRICED, Models.model_validate({"m": {"endpoint": endpoint}}))
    asked = {"random": [answered("big", "p0", 5)]}
    none = calibrated({"random": {"p0": ["big"]}}, [])
    table = strategy_tokens(asked, none, ["big", "small"])
    assert price_strategies(table, batch)["random"]["cost"] == (2 * 5 + 10) / 4
