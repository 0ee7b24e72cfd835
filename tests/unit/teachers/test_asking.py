"""One model is asked: as it goes through its requests, to the end, or until it fails."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from persyn_kedro.domain import teachers
from persyn_kedro.domain.engines import ray as ray_engine, registry
from persyn_kedro.domain.engines.base import Engine, Generation, failed
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers import Ledger, client
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.progress import step
from persyn_kedro.foundations.settings.spending import Budget
from persyn_kedro.foundations.tables.schemas import unsettled_rows
from tests.support.fake_engine import ENGINE, PROMPTS, answer, answer_by, recipe


def test_calls_that_are_not_made_are_told_as_failed(fake, store, caplog):
    caplog.set_level("INFO", "persyn_kedro.foundations.progress")
    prompts = [(f"id{number}", f"prompt {number}") for number in range(30)]
    fake.failing = {prompt for _, prompt in prompts}
    with step("generate"):
        _, table = teachers.answer(
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
    outcomes, table = teachers.make_sure(
        {"a": prompts, "b": [("id", "fine")]}, recipes, store, limited, 0, ledger, go_on=True
    )
    stopped, fine = table.to_pylist()
    assert (stopped["errors"], fine["calls"], fine["errors"]) == (60, 1, 0)
    assert unsettled_rows(outcomes.schema) == 60 - stopped["calls"] > 0
    took = sum(row["prompt_tokens"] + row["completion_tokens"] for row in (stopped, fine))
    assert ledger.spent()[0] == took


def test_any_engine_may_say_that_no_call_will_be_answered(fake, store, monkeypatch):
    def without_room(engine, requests):
        for number, request in enumerate(requests):
            yield replace(failed(request, "no room"), remedy="rent {teacher} a larger machine")
            assert number == 0

    answer_by(monkeypatch, without_room)
    sentence = (
        r"^Teacher 'a' was stopped because every other call to transformers a would fail too "
        r"\(no room\): rent a a larger machine; all answers are kept, and the next run requests "
        r"only the missing ones\.$"
    )
    with pytest.raises(PersynError, match=sentence):
        answer({"a": PROMPTS}, [recipe("a")], store)


def test_what_any_engine_has_under_way_as_it_is_stopped_is_recorded(fake, store, monkeypatch):
    class TwoAtOnce(Engine):
        in_child = False

        def generate(self, requests):
            requests = iter(requests)
            self.late = [Generation(next(requests).key, "paid for", "stop", 7, 10)]
            yield replace(failed(next(requests), "no room"), remedy="rent a larger machine")

        def drain(self):
            yield from self.late

    monkeypatch.setitem(registry.HERE, "transformers", TwoAtOnce)
    ledger, recipes = Ledger(), [recipe("a")]
    outcomes, _ = teachers.make_sure({"a": PROMPTS}, recipes, store, ENGINE, 0, ledger, go_on=True)
    errors = outcomes["error"].to_pylist()
    assert errors[:2] == [None, "no room"] and all("not asked" in error for error in errors[2:])
    assert len(store.read(recipes[0].shelf)) == 2 and ledger.spent()[0] == 17


def test_an_answer_that_comes_twice_counts_once_and_one_to_nothing_is_refused(
    fake, store, monkeypatch
):
    def twice(engine, requests):
        for request in requests:
            yield from [Generation(request.key, request.prompt, "stop", 7, 10)] * 2
        if other:
            yield Generation(other, "", "stop", 7, 10)

    other = ""
    answer_by(monkeypatch, twice)
    rows, calls = answer({"a": PROMPTS[:3]}, [recipe("a")], store)
    assert [row["response"] for row in rows] == [prompt for _, prompt in PROMPTS[:3]]
    assert (calls["a"]["calls"], calls["a"]["completion_tokens"]) == (3, 30)
    for other in ("no key", "0" * 32, "-" + "f" * 31, 7):
        with pytest.raises(PersynError, match=f"a generation with unknown key {other!r}"):
            answer({"a": PROMPTS}, [recipe("a")], store)
        assert len(store.read(recipe("a").shelf)) == 5, "what was asked for is kept"
        store = ResponseStore(store.root / "empty")


def test_requests_are_made_as_the_engine_goes_through_them(fake, store, monkeypatch):
    made = []

    def one_by_one(engine, requests):
        for request in requests:
            made.append(request.key)
            assert len(set(reserved)) <= len(made) + 1, "one ahead: it is known that there is any"
            yield Generation(request.key, "yes", "stop", 7, 10)

    reserved = []
    reserve = Ledger.reserve
    monkeypatch.setattr(
        Ledger,
        "reserve",
        lambda self, r, q, *rest: (reserved.append(q.key), reserve(self, r, q, *rest)),
    )
    answer_by(monkeypatch, one_by_one)
    # A call is at worst 8 + 64 + 512 tokens and takes 17: no two fit before one is answered.
    limited = ENGINE.model_copy(update={"budget": Budget(max_tokens=700)})
    rows, _ = answer({"a": PROMPTS}, [recipe("a")], store, limited)
    assert len(rows) == len(made) == 5


@pytest.mark.parametrize(("budget", "alone"), [(Budget(), False), (Budget(max_cost=9.0), True)])
def test_several_models_are_asked_by_threads_and_their_cluster_outlives_these(
    fake, store, monkeypatch, budget, alone
):
    """What Ray starts ends with the thread that started it."""
    started, asked = [], []

    def reachable(settings):
        started.append(threading.current_thread())
        return settings

    class Standing(ray_engine.VllmOnRay):
        in_child = False

        def generate(self, requests):
            asked.append(threading.current_thread())
            yield from fake.generate(self, requests)

    monkeypatch.setattr(ray_engine, "reachable", reachable)
    monkeypatch.setitem(registry.ON_RAY, "vllm", Standing)
    engine = ENGINE.model_copy(update={"name": "ray", "budget": budget})
    wanted = {"a": PROMPTS, "b": PROMPTS}
    rows, _ = answer(wanted, [recipe("a", "w1"), recipe("b", "w2")], store, engine)
    assert len(rows) == 10 and sorted(fake.loads) == ["w1", "w2"]
    assert {*started} == {threading.main_thread()}
    assert [thread is threading.main_thread() for thread in asked] == [alone] * 2


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
    def short_ones(engine, requests):
        for request in requests:
            if len(request.prompt) > 64:
                yield failed(request, "no room", len(request.prompt), asked=False)
            else:
                yield Generation(request.key, "yes", "stop", 7, 10)

    answer_by(monkeypatch, short_ones)
    engine = ENGINE.model_copy(update={"max_model_len": 64, "budget": Budget(max_tokens=400)})
    ledger = Ledger()
    wanted = {"a": [("id0", "x" * 1_000_000), *PROMPTS[1:3]]}
    responses, calls = teachers.answer(wanted, [recipe("a")], store, engine, 0, ledger)
    assert responses["error"].to_pylist() == ["no room", None, None]
    assert ledger.spent()[0] == 2 * (7 + 10)
    row = calls.to_pylist()[0]
    assert (row["calls"], row["errors"]) == (2, 1)


def test_a_request_without_an_answer_is_told(fake, store, monkeypatch):
    answer_by(monkeypatch, lambda *_: (item for item in []))
    with pytest.raises(PersynError, match="no answer to 5 of 5"):
        answer({"a": PROMPTS}, [recipe("a")], store)


def test_teachers_of_one_model_with_two_templates_are_run_apart(fake, store):
    recipes = [recipe("a", template="one"), recipe("b", template="two")]
    answer({"a": PROMPTS[:1], "b": PROMPTS[:1]}, recipes, store)
    assert fake.templates == ["one", "two"]


def test_the_next_models_files_are_read_once_this_one_has_answered(fake, store, monkeypatch):
    events = []

    def answering(engine, requests):
        for request in requests:
            events.append(f"{engine.model.name} answers")
            yield Generation(request.key, "yes", "stop", 7, 10)

    answer_by(monkeypatch, answering)
    monkeypatch.setattr(client, "read_ahead", lambda directory: events.append(f"read {directory}"))
    pool = [recipe(name, weights=name) for name in "abc"]
    for each in pool:
        each.model.directory = Path(each.teacher)
    wanted = dict.fromkeys("abc", PROMPTS[:2])
    answer(wanted, pool, store)
    expected = ["a answers", "read b", "a answers", "b answers", "read c", "b answers"]
    assert events == [*expected, "c answers", "c answers"]
    answer(wanted, pool, store)
    assert events == [*expected, "c answers", "c answers"], "nothing is loaded, so nothing is read"
