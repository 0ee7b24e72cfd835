"""Expected tokens and costs, by numbers worked out by hand or by scipy."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import linregress

from persyn_kedro.domain.cost_aware.expected import (
    CostModel,
    fit_cost_model,
    prompt_bytes,
    reward_scale,
    shrunk_line,
    used_tokens,
)
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.foundations.tables import schemas
from tests.support.good_rows import RESPONSE
from tests.support.tables import dataset

MODELS = Models.model_validate({"m": {"random": "chat"}, "h": {"hub": "o/m", "revision": "1"}})
TEACHERS = Teachers.model_validate(
    {
        "a": {"model": "m", "sampling": {"max_new_tokens": 50}, "price": 10.0, "prompt_price": 1.0},
        "b": {"model": "h", "sampling": {"max_new_tokens": 70}},
    }
)


def response(prompt_id: str, teacher: str, **more: Any) -> dict[str, Any]:
    return {**RESPONSE, "prompt_id": prompt_id, "teacher": teacher, **more}


def test_a_line_is_least_squares_shrunk_by_its_uncertainty() -> None:
    x, y = np.array([1.0, 2, 3, 4, 7]), np.array([2.0, 5, 3, 8, 9])
    plain = linregress(x, y)
    t = plain.slope / plain.stderr
    intercept, slope = shrunk_line(x, y)
    assert slope == pytest.approx(plain.slope * (1 - 1 / t**2))
    assert intercept + slope * x.mean() == pytest.approx(y.mean())


@pytest.mark.parametrize(
    ("x", "y"), [([1, 2], [3, 9]), ([5, 5, 5], [1, 2, 6]), ([1, 2, 3], [6, 6, 6])]
)
def test_what_shows_no_slope_is_its_mean(x: list[float], y: list[float]) -> None:
    assert shrunk_line(np.array(x, float), np.array(y, float)) == [np.mean(y), 0.0]


def test_chance_gives_no_slope() -> None:
    assert shrunk_line(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 2, 1])) == [1.5, 0.0]


def test_tokens_of_a_teacher_follow_its_answers_and_stay_among_them() -> None:
    sizes = {f"p{i}": 2**i for i in range(3, 9)}
    rows = [
        response(p, "a", prompt_tokens=10 + n, completion_tokens=round(4 * np.log2(n)))
        for p, n in sizes.items()
    ]
    model = fit_cost_model(pa.Table.from_pylist(rows, schemas.RESPONSES), sizes, TEACHERS).priced(
        TEACHERS, MODELS
    )
    every = np.array([*sizes.values(), 2**20])
    assert model.completion(every)[:, 0] == pytest.approx([12, 16, 20, 24, 28, 32, 32])
    assert model.prompt(every)[:, 0] == pytest.approx(every + 10)
    # b has no answer: at most, as the settings allow
    assert model.teachers["b"]["answers"] == 0
    assert model.completion(every)[:, 1].tolist() == [70.0] * 7
    assert model.cost(every, "tokens")[0].tolist() == [12 + 18, 70 + 16 + 2]
    # per million: 10 for 12 completion tokens, 1 for 18 of the prompt
    assert model.cost(every, "money")[0] == pytest.approx([138e-6, 0])


def test_cached_prompt_tokens_cost_less_and_failed_answers_nothing() -> None:
    teachers = Teachers.model_validate(
        {
            "a": {"model": "m", "price": 8.0, "prompt_price": 4.0, "cached_prompt_price": 1.0},
            "b": {"model": "h"},
        }
    )
    rows = [
        response("p", "a", prompt_tokens=60, cached_prompt_tokens=30),
        response("q", "a", finish_reason="error", error="x", completion_tokens=9999),
    ]
    table = pa.Table.from_pylist(rows, schemas.RESPONSES)
    model = fit_cost_model(table, {"p": 4, "q": 4}, teachers).priced(teachers, MODELS)
    one = model.teachers["a"]
    assert one["answers"] == 1
    assert one["prompt_price"] == pytest.approx(2.5e-6)
    assert one["completion_price"] == pytest.approx(8e-6)


def test_imported_answers_are_counted_by_their_bytes() -> None:
    rows = [
        response("p", "a", engine="import", response="x" * 40, prompt_tokens=0, completion_tokens=0)
    ]
    table = pa.Table.from_pylist(rows, schemas.RESPONSES)
    model = fit_cost_model(table, {"p": 8}, TEACHERS)
    assert model.completion(np.array([8]))[0, 0] == 10
    assert model.prompt(np.array([8]))[0, 0] == 2 + 16


def test_what_answers_took_is_their_mean_and_failed_ones_are_expected() -> None:
    line = {"prompt": [5.0, 0.0], "completion": [7.0, 0.0, 7.0, 7.0]}
    prices = {"completion_price": 2.0, "prompt_price": 1.0}
    costs = CostModel({"a": {**line, **prices}, "b": {**line, **prices}})
    rows = [
        response("p", "a", prompt_tokens=4, completion_tokens=10),
        response("p", "a", sample_index=1, prompt_tokens=4, completion_tokens=20),
        response("p", "b", finish_reason="error", error="x", completion_tokens=999),
        response("other", "a", completion_tokens=999),
    ]
    used = used_tokens(pa.Table.from_pylist(rows, schemas.RESPONSES), {"p": 1}, costs)
    assert used["completion_tokens"].tolist() == [[15, 7]]
    assert used["tokens"].tolist() == [[19, 12]]
    assert used["cost"].tolist() == [[34, 19]]


def test_bytes_are_those_of_utf_8_in_the_tables_order() -> None:
    rows = [{"prompt_id": "a", "prompt": "äö"}, {"prompt_id": "b", "prompt": "xyz"}]
    ids, sizes = prompt_bytes(dataset(rows, schemas.SOURCE_PROMPTS))
    assert ids.to_pylist() == ["a", "b"] and sizes.tolist() == [4, 3]


def test_the_scale_is_the_slope_within_prompts() -> None:
    """Two prompts: scores about the mean -1, 1 and -2, 2; rewards -0.1, 0.1 and -0.3, 0.3."""
    scores = np.array([[9.0, 11], [-2, 2], [5, 50]])
    rewards = np.array([[0.4, 0.6], [0.2, 0.8], [1.0, np.nan]])  # the last has one valid teacher
    assert reward_scale(scores, rewards) == pytest.approx((0.2 + 1.2) / (2 + 8))
    assert reward_scale(np.ones((2, 2)), np.array([[0.0, 1], [1, 0]])) == 0
