"""Every recipe of docs/guides/hosted_servers.md, against a server that does as the real one."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from persyn_kedro.domain import teachers
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers import Ledger
from persyn_kedro.domain.teachers.recipe import Recipe, make_recipes
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import check_source, resolve_models
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.read import read_settings
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.runs.pool_checks import check_pool
from tests.support import guides
from tests.support.hosted_servers import SERVERS, Seen, serve_as
from tests.support.settings import SHORTEST

RECIPES = guides.recipes("hosted_servers")
KEY = "key-5HqTz8WmVb2LrXc9"
ENGINE = EngineSettings()
ASKED = {"hosted": [(f"p{i}", f"What is {i} + 2?") for i in range(3)]}


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every variable that a recipe names a value of its own."""
    for recipe in RECIPES.values():
        endpoint = recipe["models"]["hosted"]["endpoint"]
        for variable in endpoint.get("extra_headers", {}).values():
            monkeypatch.setenv(variable, f"v-{variable}")
        if "api_key_env" in endpoint:
            monkeypatch.setenv(endpoint["api_key_env"], KEY)


@pytest.fixture(params=RECIPES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recipe_settings(name: str) -> dict[str, Any]:
    return deepcopy(RECIPES[name])


@pytest.fixture
def seen(name: str, recipe_settings: dict[str, Any]) -> Iterator[Seen]:
    """Run the recipe's server, and have the recipe's url lead there."""
    endpoint = recipe_settings["models"]["hosted"]["endpoint"]
    path = urlsplit(endpoint["url"]).path
    key = KEY if SERVERS[name].key else None
    with serve_as(SERVERS[name], f"{path}/chat/completions", key) as seen:
        endpoint["url"] = f"{seen.address}{path}"
        yield seen


def teacher_of(settings: dict[str, Any]) -> Recipe:
    """Return the hosted teacher of a recipe's settings."""
    models = Models.model_validate(settings["models"])
    pool = Teachers.model_validate(
        {**settings["teachers"], "other": {"model": "hosted", "system": "!"}}
    )
    check_source("hosted", models.root["hosted"])
    return make_recipes(pool, resolve_models(models, ["hosted"]))[0]


def test_there_is_a_server_for_each_recipe() -> None:
    assert list(RECIPES) == list(SERVERS)


def test_a_recipe_is_settings_of_a_whole_project(recipe_settings: dict[str, Any]) -> None:
    models = {**SHORTEST["models"], **recipe_settings["models"]}
    pool = {"x": {"model": "a"}, **recipe_settings["teachers"]}
    check_pool(read_settings({**SHORTEST, "models": models, "teachers": pool}))


def test_a_recipe_is_answered_and_priced(
    name: str, recipe_settings: dict[str, Any], seen: Seen, tmp_path: Path
) -> None:
    teacher, ledger, server = teacher_of(recipe_settings), Ledger(), SERVERS[name]
    responses, calls = teachers.answer(ASKED, [teacher], ResponseStore(tmp_path), ENGINE, 0, ledger)
    thoughts = server.message.get("reasoning_content") or server.message.get("reasoning")
    said = f"<think>{thoughts}</think>\n4" if thoughts else "4"
    rows = responses.to_pylist()
    assert [(r["response"], r["finish_reason"], r["error"]) for r in rows] == [
        (said, "stop", None)
    ] * 3
    usage = server.usage
    completion = usage["total_tokens"] - usage["prompt_tokens"]
    took = {(r["prompt_tokens"], r["completion_tokens"]) for r in rows}
    assert took == {(usage["prompt_tokens"], completion)}
    told = (usage.get("prompt_tokens_details") or usage).get("cached_tokens")
    assert {r["cached_prompt_tokens"] for r in rows} == {told}
    prices = recipe_settings["teachers"]["hosted"]
    full, other = usage["prompt_tokens"] - (told or 0), prices.get("prompt_price", 0.0)
    cost = full * other + (told or 0) * prices.get("cached_prompt_price", other)
    cost = 3 * (cost + completion * prices.get("price", 0.0)) / 1e6
    (row,) = calls.to_pylist()
    assert row["cost"] == pytest.approx(cost) == pytest.approx(ledger.spent()[1])
    assert (row["calls"], row["cached_prompt_tokens"]) == (3, 3 * (told or 0))


def test_what_is_null_is_not_sent_and_what_is_extra_is(
    recipe_settings: dict[str, Any], seen: Seen, tmp_path: Path
) -> None:
    teachers.answer(ASKED, [teacher_of(recipe_settings)], ResponseStore(tmp_path), ENGINE, 0)
    model = recipe_settings["models"]["hosted"]
    sampling, endpoint = recipe_settings["teachers"]["hosted"]["sampling"], model["endpoint"]
    renamed = {"max_new_tokens": endpoint.get("max_tokens_parameter", "max_tokens")}
    wanted = {renamed.get(n, n): value for n, value in sampling.items() if value is not None}
    wanted |= endpoint.get("extra_body", {})
    if "template_arguments" in model:
        wanted["chat_template_kwargs"] = model["template_arguments"]
    assert len(seen.bodies) == 3
    for body, headers in zip(seen.bodies, seen.headers, strict=True):
        assert not {n for n, value in sampling.items() if value is None} & set(body)
        assert {n: body.get(n) for n in wanted} == wanted
        for header, variable in endpoint.get("extra_headers", {}).items():
            assert headers[header.lower()] == f"v-{variable}"


def without(name: str, *paths: str) -> dict[str, Any]:
    """Return a recipe without these settings."""
    found = deepcopy(RECIPES[name])
    for path in paths:
        *above, last = path.split(".")
        group = found
        for key in above:
            group = group[key]
        del group[last]
    return found


MODEL, SAMPLING = "models.hosted.endpoint.", "teachers.hosted.sampling."


@pytest.mark.parametrize(
    ("name", "recipe_settings", "remedy"),
    [
        ("OpenAI's reasoning models",
         without("OpenAI's reasoning models", f"{MODEL}max_tokens_parameter"),
         f"set {MODEL}max_tokens_parameter: max_completion_tokens"),
        ("OpenAI's reasoning models",
         without("OpenAI's reasoning models", f"{SAMPLING}temperature"),
         f"set {SAMPLING}temperature: null"),
        ("OpenAI's reasoning models", without("OpenAI's reasoning models", f"{SAMPLING}top_p"),
         f"set {SAMPLING}top_p: null"),
        ("Anthropic", without("Anthropic", f"{SAMPLING}top_p"), f"set {SAMPLING}top_p: null"),
        ("Gemini", without("Gemini", f"{SAMPLING}seed"), f"set {SAMPLING}seed: null"),
        ("OpenRouter", without("OpenRouter", f"{SAMPLING}seed"), f"check {MODEL}model"),
        ("LiteLLM's proxy", without("LiteLLM's proxy", f"{SAMPLING}top_p"),
         f"set {SAMPLING}top_p: null"),
        ("LiteLLM's proxy", without("LiteLLM's proxy", f"{SAMPLING}seed"),
         f"set {SAMPLING}seed: null"),
    ],
)  # fmt: skip
def test_without_it_the_teacher_is_stopped_and_told_what_to_set(
    recipe_settings: dict[str, Any], remedy: str, seen: Seen, tmp_path: Path
) -> None:
    recipe_settings["models"]["hosted"]["endpoint"]["max_concurrency"] = 1
    with pytest.raises(PersynError, match="'hosted' was stopped") as stopped:
        teachers.answer(ASKED, [teacher_of(recipe_settings)], ResponseStore(tmp_path), ENGINE, 0)
    assert f"): {remedy}" in str(stopped.value) and len(seen.bodies) == 1


def test_another_model_or_path_is_told(
    name: str, recipe_settings: dict[str, Any], seen: Seen, tmp_path: Path
) -> None:
    endpoint = recipe_settings["models"]["hosted"]["endpoint"]
    changes = [("url", f"{endpoint['url']}/more")]
    changes += [("model", "x")] if SERVERS[name].model else []
    for key, value in changes:
        wrong = deepcopy(recipe_settings)
        wrong["models"]["hosted"]["endpoint"][key] = value
        with pytest.raises(PersynError, match=r": check models\.hosted\.endpoint\.model, and that"):
            teachers.answer(ASKED, [teacher_of(wrong)], ResponseStore(tmp_path), ENGINE, 0)


def test_a_variable_that_is_not_set_is_named_before_anything_is_asked(
    recipe_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = recipe_settings["models"]["hosted"]["endpoint"]
    headers = {variable: header for header, variable in endpoint.get("extra_headers", {}).items()}
    for variable in [*headers, *([endpoint["api_key_env"]] if "api_key_env" in endpoint else [])]:
        what = f"the header {headers[variable]}" if variable in headers else "an API key"
        with monkeypatch.context() as patch:
            patch.delenv(variable)
            with pytest.raises(
                PersynError, match=f"needs {what} in the environment variable {variable}"
            ):
                teacher_of(recipe_settings)
            patch.setenv(variable, "a\nb")
            with pytest.raises(PersynError, match="contains characters that no header can have"):
                teacher_of(recipe_settings)
