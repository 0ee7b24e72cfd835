"""Answering: paid for once, errors asked for again, chunks kept when an engine dies."""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.teachers import answering, asking, vllm_engine
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.domain.teachers.engine import (
    Generation,
    Request,
    failed,
)
from persyn_kedro.domain.teachers.recipes import Recipe, make_recipes
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.model_parameters import (
    Budget,
    EngineSettings,
    ModelSettings,
    SamplingSettings,
    Teachers,
)
from persyn_kedro.foundations.progress import step
from persyn_kedro.foundations.schemas import unsettled_rows

PROMPTS = [(f"id{number}", f"prompt {number}") for number in range(5)]
ENGINE = EngineSettings(name="transformers", chunk_size=2)


def model(name: str, weights_id: str | None = None, template: str = "template"):
    return SimpleNamespace(
        name=name,
        weights_id=weights_id or name,
        chat_template=template,
        directory=Path("nowhere"),
        settings=ModelSettings(zoo="smollm2"),
    )


def recipe(
    teacher: str,
    weights: str = "w",
    system: str | None = None,
    price: float = 0.0,
    template: str = "template",
) -> Recipe:
    return Recipe(teacher, model(teacher, weights, template), system, SamplingSettings(), price)


@dataclass
class FakeEngine:
    """Echoes prompts in reverse order; fails those in ``failing``, dies after ``dies_after``."""

    failing: set[str] = field(default_factory=set)
    dies_after: int | None = None
    loads: list[str] = field(default_factory=list)
    templates: list[str] = field(default_factory=list)
    prompt_tokens: int = 7
    requests: list[Request] = field(default_factory=list)

    def run_in_child(self, function, model, engine, *, label, env, feed) -> Iterator[Generation]:
        self.loads.append(model.weights_id)
        self.templates.append(model.chat_template)
        for number, request in enumerate(reversed(list(feed))):
            if number == self.dies_after:
                raise PersynError(f"{label}: its process died.")
            self.requests.append(request)
            error = "no room" if request.prompt in self.failing else None
            text = "" if error else f"{request.system}: {request.prompt}"
            reason = "error" if error else "stop"
            tokens = 0 if error else 10
            yield Generation(request.key, text, reason, self.prompt_tokens, tokens, error)


@pytest.fixture
def fake(monkeypatch) -> FakeEngine:
    engine = FakeEngine()
    monkeypatch.setattr(asking, "run_in_child", engine.run_in_child)
    return engine


@pytest.fixture
def store(tmp_path) -> ResponseStore:
    return ResponseStore(tmp_path)


def answer(wanted, recipes, store, engine=ENGINE, seed=0):
    responses, calls = answering.answer(wanted, recipes, store, engine, seed)
    return responses.to_pylist(), {row["teacher"]: row for row in calls.to_pylist()}


def test_teachers_of_one_model_with_two_templates_are_run_apart(fake, store):
    recipes = [recipe("a", template="one"), recipe("b", template="two")]
    answer({"a": PROMPTS[:1], "b": PROMPTS[:1]}, recipes, store)
    assert fake.templates == ["one", "two"]


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
        "errors": 1,
        "cost": 7.0,  # 20 tokens of a at 0.2, 30 of b at 0.1
    }
    first, second = [r.getMessage() for r in caplog.records if r.name.endswith("progress")]
    assert re.sub(r"(\d\.\d s|\(.*?/s\))", "-", first) == (
        "Done first in -: 6 calls -, 42 prompt tokens, 50 completion tokens -, cost 7.00, "
        "1 failed, 2 from the store"
    )
    assert re.sub(r"\d\.\d s", "-", second) == "Done second in -: 0 calls, 3 from the store"


def test_calls_that_are_not_made_are_told_as_failed(fake, store, caplog):
    caplog.set_level("INFO", "persyn_kedro.foundations.progress")
    prompts = [(f"id{number}", f"prompt {number}") for number in range(30)]
    fake.failing = {prompt for _, prompt in prompts}
    with step("generate"):
        _, table = answering.answer(
            {"a": prompts}, [recipe("a")], store, ENGINE, 0, None, go_on=True
        )
    row = table.to_pylist()[0]
    assert 0 < row["calls"] < row["errors"] == 30
    summary = caplog.records[-1].getMessage()
    assert f": {row['calls']} calls" in summary and summary.endswith("30 failed")


def test_what_a_stopped_model_was_not_asked_is_asked_next_and_costs_the_others_nothing(
    fake, store, monkeypatch
):
    """Its failures would not be asked again: the context is used up."""
    prompts = [(f"id{number}", f"prompt {number}") for number in range(60)]
    fake.failing, fake.prompt_tokens = {prompt for _, prompt in prompts}, ENGINE.max_model_len
    recipes = [recipe("a", "w1"), recipe("b", "w2")]
    ledger = Ledger()
    # A call is at worst 72 + 512 tokens.
    limited = ENGINE.model_copy(update={"budget": Budget(max_tokens=60 * 600 + 12 * 4096)})
    outcomes, table = answering.make_sure(
        {"a": prompts, "b": [("id", "fine")]}, recipes, store, limited, 0, ledger, go_on=True
    )
    stopped, fine = table.to_pylist()
    assert (stopped["errors"], fine["calls"], fine["errors"]) == (60, 1, 0)
    assert unsettled_rows(outcomes.schema) == 60 - stopped["calls"] > 0
    took = sum(row["prompt_tokens"] + row["completion_tokens"] for row in (stopped, fine))
    assert ledger.spent()[0] == took


def test_an_answer_that_comes_twice_counts_once_and_one_to_nothing_is_refused(
    fake, store, monkeypatch
):
    def twice(function, model, engine, *, label, env, feed):
        for request in feed:
            yield from [Generation(request.key, request.prompt, "stop", 7, 10)] * 2
        if other:
            yield Generation(other, "", "stop", 7, 10)

    other = ""
    monkeypatch.setattr(asking, "run_in_child", twice)
    rows, calls = answer({"a": PROMPTS[:3]}, [recipe("a")], store)
    assert [row["response"] for row in rows] == [prompt for _, prompt in PROMPTS[:3]]
    assert (calls["a"]["calls"], calls["a"]["completion_tokens"]) == (3, 30)
    for other in ("no key", "0" * 32, "-" + "f" * 31, 7):
        with pytest.raises(PersynError, match=f"a request that it was not given: {other!r}"):
            answer({"a": PROMPTS}, [recipe("a")], store)
        assert len(store.read(recipe("a").shelf)) == 5, "what was asked for is kept"
        store = ResponseStore(store.root / "empty")


def test_requests_are_made_as_the_engine_goes_through_them(fake, store, monkeypatch):
    made = []

    def feed_one_by_one(function, model, engine, *, label, env, feed):
        for request in feed:
            made.append(request.key)
            assert len(set(reserved)) <= len(made) + 1, "one ahead: it is known that there is any"
            yield Generation(request.key, "yes", "stop", 7, 10)

    reserved = []
    reserve = Ledger.reserve
    monkeypatch.setattr(
        Ledger,
        "reserve",
        lambda self, r, key, *rest: (reserved.append(key), reserve(self, r, key, *rest)),
    )
    monkeypatch.setattr(asking, "run_in_child", feed_one_by_one)
    # A call is at worst 8 + 64 + 512 tokens and takes 17: no two fit before one is answered.
    limited = ENGINE.model_copy(update={"budget": Budget(max_tokens=700)})
    rows, _ = answer({"a": PROMPTS}, [recipe("a")], store, limited)
    assert len(rows) == len(made) == 5


@pytest.mark.parametrize(("budget", "alone"), [(Budget(), False), (Budget(max_cost=9.0), True)])
def test_several_models_are_asked_by_threads_and_their_cluster_outlives_these(
    fake, store, monkeypatch, budget, alone
):
    """What Ray starts ends with the thread that started it."""
    threads = []

    def reachable(settings):
        threads.append(threading.current_thread())
        return settings

    def run_in_child(function, model, engine, cluster, **options):
        return fake.run_in_child(function, model, engine, **options)

    for module in (answering, asking):
        monkeypatch.setattr(module, "reachable", reachable)
    monkeypatch.setattr(asking, "run_in_child", run_in_child)
    engine = ENGINE.model_copy(update={"name": "ray", "budget": budget})
    wanted = {"a": PROMPTS, "b": PROMPTS}
    rows, _ = answer(wanted, [recipe("a", "w1"), recipe("b", "w2")], store, engine)
    assert len(rows) == 10 and sorted(fake.loads) == ["w1", "w2"]
    first, *others = (thread is threading.main_thread() for thread in threads)
    assert first and others == [alone] * 2


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


def test_chunks_are_kept_when_the_engine_dies(fake, store, tmp_path):
    fake.dies_after = 3
    recipes = [recipe("a")]
    with pytest.raises(PersynError, match="transformers a: its process died"):
        answer({"a": PROMPTS}, recipes, store)
    assert len(list((tmp_path / recipes[0].shelf).glob("part-*.parquet"))) == 2
    fake.dies_after = None
    rows, calls = answer({"a": PROMPTS}, recipes, store)
    assert len(rows) == 5 and calls["a"]["calls"] == 2


def test_a_prompt_that_no_context_holds_takes_nothing_of_the_budget(store, monkeypatch):
    def run_in_child(function, model, engine, *, label, env, feed):
        for request in feed:
            if len(request.prompt) > 64:
                yield failed(request, "no room", len(request.prompt), asked=False)
            else:
                yield Generation(request.key, "yes", "stop", 7, 10)

    monkeypatch.setattr(asking, "run_in_child", run_in_child)
    engine = ENGINE.model_copy(update={"max_model_len": 64, "budget": Budget(max_tokens=400)})
    ledger = Ledger()
    wanted = {"a": [("id0", "x" * 1_000_000), *PROMPTS[1:3]]}
    responses, calls = answering.answer(wanted, [recipe("a")], store, engine, 0, ledger)
    assert responses["error"].to_pylist() == ["no room", None, None]
    assert ledger.spent()[0] == 2 * (7 + 10)
    row = calls.to_pylist()[0]
    assert (row["calls"], row["errors"]) == (2, 1)


def test_a_request_without_an_answer_is_told(fake, store, monkeypatch):
    monkeypatch.setattr(asking, "run_in_child", lambda *_, **__: (item for item in []))
    with pytest.raises(PersynError, match="no answer to 5 of 5"):
        answer({"a": PROMPTS}, [recipe("a")], store)


def test_seeds_belong_to_responses_not_to_their_order(fake, store, tmp_path):
    answer({"a": PROMPTS}, [recipe("a")], store)
    seeds = {request.prompt: request.seed for request in fake.requests}
    assert len(set(seeds.values())) == 5
    answer({"a": PROMPTS[2:3]}, [recipe("a")], ResponseStore(tmp_path / "other"))
    assert fake.requests[-1].seed == seeds["prompt 2"]


def test_unknown_teachers_and_missing_engines_are_refused(fake, store, monkeypatch):
    with pytest.raises(PersynError, match="Teacher x is not in the pool."):
        answer({"x": PROMPTS}, [recipe("a")], store)
    answer({"a": PROMPTS[:1]}, [recipe("a")], store)
    monkeypatch.setattr(vllm_engine.importlib.util, "find_spec", lambda name: None)
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
