"""Under which identities answers are stored: none changes because the code can do more."""

from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.domain.teachers.recipe import Recipe, make_recipes
from persyn_kedro.domain.teachers.requests import by_model, requests_for
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.models.identities import model_identity
from persyn_kedro.foundations.models.resolve import ResolvedModel, resolve_models
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.marks import lasting
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.foundations.settings.student import EvaluateSettings
from persyn_kedro.foundations.settings.teachers import Teachers

FAR = {"url": "http://h/v1", "model": "m"}
MODELS: dict[str, Any] = {
    "far": {"endpoint": FAR},
    "args": {
        "endpoint": {
            **FAR, "max_tokens_parameter": "max_completion_tokens", "allow_template_markers": True,
        },
        "template_arguments": {"enable_thinking": False},
    },
}  # fmt: skip
WARM = {
    "temperature": 0.7, "top_p": 0.9, "top_k": 20, "repetition_penalty": 1.1, "max_new_tokens": 64,
}  # fmt: skip
TEACHERS: dict[str, Any] = {
    "plain": {"model": "far"},
    "warm": {"model": "far", "system": "Be kind.", "sampling": WARM},
    "args": {"model": "args"},
}
# Recipe, shelf and the response to "p", as they were before anything could be null or extra.
BEFORE = {
    "plain": ("7f4e0ecb6feeb9517f5708188876a9f7", "f1b233d17971f7b13bad69f215ce7571",
              "9709ce006669f3e79264022c23b3901e"),
    "warm": ("bacd27ed24101cadaf64d6453c9c61f3", "93bc372acd22da361863af1fd9a9b29e",
             "80da1a07a79d5b1bce6a578797747394"),
    "args": ("0d00ed7ea40a9a869e67223ab3f5e820", "2e638c8fae7e350e1ccdbd5d3c093c02",
             "de5820b2d282ebf729317d005179dbb4"),
}  # fmt: skip


def recipes(teachers: dict[str, Any], models: dict[str, Any] = MODELS) -> dict[str, Recipe]:
    found = Models.model_validate(models)
    pool = Teachers.model_validate({**TEACHERS, **teachers})
    made = make_recipes(pool, resolve_models(found, found.root))
    return {recipe.teacher: recipe for recipe in made}


def ids(recipe: Recipe) -> tuple[str, str, str]:
    return recipe.recipe_id, recipe.shelf, recipe.response_key("p")


def test_what_was_stored_before_is_found() -> None:
    assert {name: ids(recipe) for name, recipe in recipes({}).items()} == BEFORE


def test_what_made_a_steps_result_before_is_the_same() -> None:
    (_, far), (_, args) = Models.model_validate(MODELS).root.items()
    assert settings_id(model_identity("far", far)) == "ed23e9bd4595d8de8fd520c62dc978e4"
    assert model_identity("args", args)["endpoint"]["send_seed"] is True
    pool = Teachers.model_validate(TEACHERS)
    assert settings_id({"t": lasting(pool)}) == "c255119d91782134373e336cc499c78d"
    prices = ("price", "prompt_price", "cached_prompt_price")
    assert settings_id({"t": lasting(pool, prices)}) == "40696ae6a21b569b20441b5291cc62e1"
    evaluate = {"e": lasting(EvaluateSettings())}
    assert settings_id(evaluate) == "37905081741aaa94eb31bc6dd92b5b54"


def test_a_seed_that_is_not_sent_is_no_other_recipe() -> None:
    """Which draw an answer is has never counted: not the run's seed either."""
    warm = {**TEACHERS["warm"], "sampling": {**WARM, "seed": None}}
    assert ids(recipes({"warm": warm})["warm"]) == BEFORE["warm"]
    changed = Teachers.model_validate({**TEACHERS, "warm": warm})
    assert lasting(changed) == lasting(Teachers.model_validate(TEACHERS))


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k", "repetition_penalty"])
def test_anything_else_that_is_null_is_another_recipe(name: str) -> None:
    warm = {**TEACHERS["warm"], "sampling": {**WARM, name: None}}
    plain = {"model": "far", "sampling": {name: None}}
    made = recipes({"warm": warm, "plain": plain})
    assert all(made[name].recipe_id != BEFORE[name][0] for name in ("warm", "plain"))


def test_an_extra_body_is_another_recipe_where_it_is_set_and_headers_are_not() -> None:
    def plain(**more: Any) -> Recipe:
        return recipes({}, {**MODELS, "far": {"endpoint": {**FAR, **more}}})["plain"]

    assert ids(plain(extra_body={}, extra_headers={"X-Tenant": "T"})) == BEFORE["plain"]
    low, high = (plain(extra_body={"reasoning_effort": e}) for e in ("low", "high"))
    assert len({BEFORE["plain"][0], low.recipe_id, high.recipe_id}) == 3
    assert low.weights_id == high.weights_id
    assert low.identity["extra_body"] == {"reasoning_effort": "low"}
    assert "extra_body" not in plain().identity


def test_a_steps_result_hangs_on_the_extra_body_and_on_no_header() -> None:
    def identity(**more: Any) -> dict[str, Any]:
        found = Models.model_validate({"far": {"endpoint": {**FAR, **more}}})
        return model_identity("far", found.root["far"])

    assert identity(extra_body={}, extra_headers={"X-Tenant": "T"}) == identity()
    assert identity(extra_body={"a": 1})["endpoint"]["extra_body"] == {"a": 1}


def test_two_extra_bodies_of_one_model_are_asked_apart(store) -> None:
    low, high = ({"endpoint": {**FAR, "extra_body": {"effort": e}}} for e in ("low", "high"))
    pool = Models.model_validate({"low": low, "high": high})
    teachers = Teachers.model_validate({n: {"model": n} for n in ("low", "high")})
    made = make_recipes(teachers, resolve_models(pool, pool.root))
    wanted = {name: [("p", "2+2?")] for name in teachers.root}
    groups = by_model(requests_for(wanted, made, store, EngineSettings()))
    assert [[each.recipe.teacher for each in group] for group in groups] == [["low"], ["high"]]


def near(name: str = "near", **vllm: Any) -> Recipe:
    """Return the recipe of a local model without files."""
    settings = ModelSettings(random="chat", vllm=vllm)
    model = ResolvedModel(name, Path(), "weights", settings)
    return Recipe(name, model, None, SamplingSettings())


def test_what_vllm_is_told_is_another_recipe_where_it_can_change_an_answer(
    no_template: None,
) -> None:
    assert near(enable_prefix_caching=True, enforce_eager=False).recipe_id == near().recipe_id
    fp8 = near(kv_cache_dtype="fp8", enable_prefix_caching=True)
    assert fp8.recipe_id != near().recipe_id and fp8.weights_id == near().weights_id
    assert fp8.identity["vllm"] == {"kv_cache_dtype": "fp8"}
    assert "vllm" not in near().identity
    plain = lasting(Models.model_validate({"a": {"random": "chat"}}))
    cached = {"random": "chat", "vllm": {"enable_prefix_caching": True}}
    assert lasting(Models.model_validate({"a": cached})) == plain
    assert "vllm" not in plain[0][1]


def test_two_ways_of_running_one_model_are_asked_apart(store, no_template: None) -> None:
    made = [near(name, kv_cache_dtype=name) for name in ("auto", "fp8")]
    wanted = {recipe.teacher: [("p", "2+2?")] for recipe in made}
    groups = by_model(requests_for(wanted, made, store, EngineSettings()))
    assert [[each.recipe.teacher for each in group] for group in groups] == [["auto"], ["fp8"]]


@pytest.fixture
def no_template(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ResolvedModel, "chat_template", "{{ messages }}")
