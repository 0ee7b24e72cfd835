"""Answering: paid for once, errors asked for again, tables in the pool's order."""

import importlib.util
import re

import pytest

from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.recipe import make_recipes
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.progress import step
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.teachers import Teachers
from tests.support.fake_engine import ENGINE, PROMPTS, answer, model, recipe


def test_a_prompt_that_fills_the_context_is_not_asked_again_until_there_is_more(fake, store):
    fake.failing, fake.prompt_tokens = {"prompt 0"}, ENGINE.max_model_len
    rows, _ = answer({"a": PROMPTS[:1]}, [recipe("a")], store)
    again, calls = answer({"a": PROMPTS[:1]}, [recipe("a")], store)
    assert again == rows and rows[0]["error"]
    assert calls["a"]["calls"] == 0
    larger = ENGINE.model_copy(update={"max_model_len": 2 * ENGINE.max_model_len})
    _, calls = answer({"a": PROMPTS[:1]}, [recipe("a")], store, larger)
    assert calls["a"]["calls"] == 1


def test_a_response_is_paid_for_once(fake, store):
    recipes = [recipe("brief", system="Be brief.", price=2e5), recipe("idle", "w2")]
    _, calls = answer({"brief": PROMPTS[:3]}, recipes, store)
    assert calls["brief"]["calls"] == 3 and calls["brief"]["cost"] == 6.0
    assert calls["idle"]["responses"] == calls["idle"]["calls"] == 0
    rows, calls = answer({"brief": PROMPTS}, recipes, store)
    assert [request.prompt for request in fake.requests[3:]] == ["prompt 4", "prompt 3"]
    assert calls["brief"] == {
        "teacher": "brief",
        "responses": 5,
        "calls": 2,
        "prompt_tokens": 14,
        "completion_tokens": 20,
        "cached_prompt_tokens": 0,
        "errors": 0,
        "cost": 4.0,
    }
    assert [row["response"] for row in rows] == [f"Be brief.: {prompt}" for _, prompt in PROMPTS]
    fake.loads.clear()
    again, calls = answer({"brief": PROMPTS}, recipes, store)
    assert again == rows and calls["brief"]["calls"] == 0 and fake.loads == []


def test_the_steps_summary_says_what_the_table_of_calls_says(fake, store, caplog):
    caplog.set_level("INFO", "persyn_kedro.foundations.progress")
    recipes = [recipe("a", "w1", price=2e5), recipe("b", "w2", price=1e5)]
    answer({"a": PROMPTS[:2]}, recipes, store)
    fake.failing = {"prompt 3"}
    with step("first"):
        _, calls = answer({"a": PROMPTS, "b": PROMPTS[:3]}, recipes, store)
    with step("second"):
        answer({"b": PROMPTS[:3]}, recipes, store)
    total = {
        name: sum(row[name] for row in calls.values()) for name in calls["a"] if name[0] != "t"
    }
    assert total == {
        "responses": 8,
        "calls": 6,
        "prompt_tokens": 42,
        "completion_tokens": 50,
        "cached_prompt_tokens": 0,
        "errors": 1,
        "cost": 7.0,  # 20 tokens of a at 0.2, 30 of b at 0.1
    }
    first, second = [r.getMessage() for r in caplog.records if r.name.endswith("progress")]
    assert re.sub(r"(\d\.\d s|\(.*?/s\))", "-", first) == (
        "Done first in -: 6 calls -, 42 prompt tokens, 50 completion tokens -, cost 7.00, "
        "1 failed, 2 from the store"
    )
    assert re.sub(r"\d\.\d s", "-", second) == "Done second in -: 0 calls, 3 from the store"


def test_tables_follow_the_pool_and_the_prompts(fake, store):
    recipes = [recipe("a", "w1"), recipe("b", "w2"), recipe("c", "w1", "Think.")]
    wanted = {"c": PROMPTS[3:], "a": PROMPTS[::-1], "b": PROMPTS[:1]}
    rows, calls = answer(wanted, recipes, store)
    assert [(row["teacher"], row["prompt_id"]) for row in rows] == [
        *(("a", f"id{number}") for number in (4, 3, 2, 1, 0)),
        ("b", "id0"),
        ("c", "id3"),
        ("c", "id4"),
    ]
    assert list(calls) == ["a", "b", "c"]
    assert fake.loads == ["w1", "w2"], "two teachers on one model load it once"


def test_teachers_with_one_recipe_share_responses(fake, store):
    recipes = [recipe("a"), recipe("copy"), recipe("other", system="Think.")]
    wanted = {"copy": PROMPTS, "a": PROMPTS[:2], "other": PROMPTS[:1]}
    rows, calls = answer(wanted, recipes, store)
    assert len(rows) == 8 and len(fake.requests) == 6
    assert [calls[name]["calls"] for name in ("a", "copy", "other")] == [2, 3, 1]
    renamed, calls = answer({"new name": PROMPTS}, [recipe("new name")], store)
    assert calls["new name"]["calls"] == 0
    assert [r["response_key"] for r in renamed] == [r["response_key"] for r in rows[2:7]]


def test_errors_are_returned_and_asked_for_again(fake, store):
    fake.failing = {"prompt 1"}
    wanted, recipes = {"a": PROMPTS}, [recipe("a", price=1)]
    rows, calls = answer(wanted, recipes, store)
    assert [row["error"] for row in rows] == [None, "no room", None, None, None]
    assert (rows[1]["finish_reason"], rows[1]["response"]) == ("error", "")
    assert (calls["a"]["errors"], calls["a"]["completion_tokens"]) == (1, 40)
    _, calls = answer(wanted, recipes, store)
    assert (calls["a"]["calls"], calls["a"]["errors"]) == (1, 1)
    fake.failing = set()
    rows, calls = answer(wanted, recipes, store)
    assert (calls["a"]["calls"], calls["a"]["errors"]) == (1, 0)
    assert rows[1]["response"] == "None: prompt 1"
    assert answer(wanted, recipes, store)[1]["a"]["calls"] == 0


def test_seeds_belong_to_responses_not_to_their_order(fake, store, tmp_path):
    answer({"a": PROMPTS}, [recipe("a")], store)
    seeds = {request.prompt: request.seed for request in fake.requests}
    assert len(set(seeds.values())) == 5
    answer({"a": PROMPTS[2:3]}, [recipe("a")], ResponseStore(tmp_path / "other"))
    assert fake.requests[-1].seed == seeds["prompt 2"]


def test_unknown_teachers_and_missing_engines_are_refused(fake, store, monkeypatch):
    with pytest.raises(PersynError, match="Teacher x is not in the pool;"):
        answer({"x": PROMPTS}, [recipe("a")], store)
    answer({"a": PROMPTS[:1]}, [recipe("a")], store)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    vllm = EngineSettings(name="vllm")
    assert answer({"a": PROMPTS[:1]}, [recipe("a")], store, vllm)[1]["a"]["calls"] == 0
    with pytest.raises(PersynError, match="Engine vllm is not installed.*engine.name=transformers"):
        answer({"a": PROMPTS}, [recipe("a")], store, vllm)


def test_recipes_are_identified_by_what_shapes_the_response():
    teachers = Teachers.model_validate(
        {
            "greedy": {"model": "m", "price": 1.0},
            "cheap": {"model": "m", "price": 0.5},
            "warm": {"model": "m", "sampling": {"temperature": 0.7}},
            "brief": {"model": "m", "system": "Be brief."},
            "moved": {"model": "same weights"},
            "other": {"model": "other"},
        }
    )
    models = {"m": model("m"), "same weights": model("x", "m"), "other": model("other")}
    recipes = {recipe.teacher: recipe for recipe in make_recipes(teachers, models)}
    assert list(recipes) == list(teachers.root)
    keys = {name: recipe.response_key("id0") for name, recipe in recipes.items()}
    assert keys["greedy"] == keys["cheap"] == keys["moved"]
    assert len(set(keys.values())) == 4
    assert recipes["greedy"].response_key("id0", 1) != keys["greedy"]
    assert recipes["greedy"].shelf == recipes["moved"].shelf != recipes["other"].shelf
