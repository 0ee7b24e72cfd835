"""Hosted teachers are asked all at once and beside a local one, within one budget."""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from persyn_kedro.domain import teachers
from persyn_kedro.domain.engines.base import Engine, Generation, Request
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers import Ledger, Recipe
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.spending import Budget
from tests.support import fake_engine
from tests.support.endpoint import Endpoint
from tests.support.hosted_teachers import recipe, remote, wanted

ENGINE = EngineSettings(name="transformers", chunk_size=8)
TOOK = 16  # tokens of each answer
WORST = 5 + 64 + 10  # of a call: "a p00", the template, max_new_tokens


def hosted(endpoint: Endpoint, *names: str, **settings: object) -> list[Recipe]:
    """Return a teacher of each name, each on a model of its own."""
    return [
        recipe(remote(endpoint, **{"model": n, "timeout_seconds": 20.0, **settings}), n)
        for n in names
    ]


def local(name: str) -> Recipe:
    return recipe(fake_engine.model(name), name)  # type: ignore[arg-type]


def prompts(count: int, *names: str, words: str = "") -> dict[str, list[tuple[str, str]]]:
    return {n: wanted([f"{words}{n} p{i:02}" for i in range(count)], n)[n] for n in names}


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_hosted_models_are_asked_together_and_local_ones_one_after_another_beside_them(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most = [], []

    def generate(engine: Engine, requests: Iterable[Request]) -> Iterator[Generation]:
        running.append(engine.model.name)
        most.append(len(running))
        for request in requests:
            until(lambda: len(endpoint.bodies) > 2)
            yield Generation(request.key, "here", "stop", 11, 5)
        running.pop()

    fake_engine.answer_by(monkeypatch, generate)
    pool = [*hosted(endpoint, "a", "b", "c", max_concurrency=1), local("d"), local("e")]
    asked = prompts(3, "a", "b", "c", words="slow ") | prompts(3, "d", "e")
    responses, calls = teachers.answer(asked, pool, ResponseStore(tmp_path), ENGINE, 0)
    assert endpoint.most_at_once == 3 and most == [1, 1]
    assert responses["teacher"].to_pylist() == [name for name in "abcde" for _ in range(3)]
    assert responses["prompt_id"].to_pylist() == [i for n in "abcde" for i, _ in asked[n]]
    assert calls["calls"].to_pylist() == [3] * 5 and not responses["error"].drop_null()


@pytest.mark.parametrize("spare", [0, 1, 7])
@pytest.mark.parametrize("at_once", [1, 8])
def test_calls_wait_for_those_under_way_instead_of_ending_the_budget(
    endpoint: Endpoint, tmp_path: Path, at_once: int, spare: int
) -> None:
    limit = 29 * TOOK + WORST + spare  # the last call fits, once all others are answered
    engine = ENGINE.model_copy(update={"budget": Budget(max_tokens=limit)})
    ledger, pool = Ledger(), hosted(endpoint, "a", "b", "c", max_concurrency=at_once)
    _, calls = teachers.answer(
        prompts(10, "a", "b", "c"), pool, ResponseStore(tmp_path), engine, 0, ledger
    )
    assert calls["calls"].to_pylist() == [10] * 3 and ledger.spent()[0] == 30 * TOOK


def test_a_budget_ends_as_late_as_it_can_and_is_not_passed(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    engine = ENGINE.model_copy(update={"budget": Budget(max_tokens=400)})
    store, ledger = ResponseStore(tmp_path), Ledger()
    pool = hosted(endpoint, "a", "b", "c", max_concurrency=4)
    with pytest.raises(PersynError, match="max_tokens = 400 of the run"):
        teachers.answer(prompts(20, "a", "b", "c"), pool, store, engine, 0, ledger)
    made = len(endpoint.bodies)
    assert ledger.spent()[0] == TOOK * made <= 400
    assert 400 - WORST < TOOK * made, "not before only what was spent left no room"
    assert sum(len(store.read(each.shelf)) for each in pool) == made, "all is kept"


def test_a_teachers_own_budget_ends_the_run_and_what_the_others_had_under_way_is_kept(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    poor, rich = hosted(endpoint, "a", "b", max_concurrency=2)
    poor = replace(poor, budget=Budget(max_tokens=2 * WORST))
    store, ledger = ResponseStore(tmp_path), Ledger()
    engine = ENGINE.model_copy(update={"budget": Budget(max_tokens=10_000)})
    asked = prompts(20, "a") | prompts(50, "b", words="slow ")
    with pytest.raises(PersynError, match="of teacher 'a'"):
        teachers.answer(asked, [poor, rich], store, engine, 0, ledger)
    rows = store.read(rich.shelf).to_pylist()
    assert ledger.spent()[0] == TOOK * len(endpoint.bodies), "nothing stays reserved"
    assert 1 < len(rows) < 20 and not [row for row in rows if row["error"]]
    assert len(rows) + len(store.read(poor.shelf)) == len(endpoint.bodies)


def test_a_local_model_waits_for_hosted_calls_within_the_budget(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def generate(engine: Engine, requests: Iterable[Request]) -> Iterator[Generation]:
        for request in requests:
            yield Generation(request.key, "here", "stop", 11, 5)

    fake_engine.answer_by(monkeypatch, generate)
    limit = 11 * TOOK + WORST + len("slow ")
    engine = ENGINE.model_copy(update={"budget": Budget(max_tokens=limit)})
    asked = prompts(6, "a", words="slow ") | prompts(6, "d")
    pool = [*hosted(endpoint, "a", max_concurrency=6), local("d")]
    _, calls = teachers.answer(asked, pool, ResponseStore(tmp_path), engine, 0)
    assert calls["calls"].to_pylist() == [6, 6]


def test_two_teachers_that_are_stopped_are_told_in_the_pools_order(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    pool = hosted(endpoint, "a", "b", max_concurrency=1)
    asked = wanted(["slow", "402"], "a") | wanted(["401", "x"], "b")
    with pytest.raises(PersynError, match="Teacher 'a' was stopped.*Teacher 'b' was stopped"):
        teachers.answer(asked, pool, ResponseStore(tmp_path), ENGINE, 0)


@pytest.mark.parametrize("names", ["a", "abc"])
def test_an_interrupt_keeps_what_is_under_way_and_begins_no_more(
    endpoint: Endpoint, tmp_path: Path, names: str
) -> None:
    store, pool = ResponseStore(tmp_path), hosted(endpoint, *names, max_concurrency=3)

    def interrupt() -> None:
        until(lambda: len(endpoint.bodies) >= 3 * len(names))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            teachers.answer(prompts(60, *names, words="slow "), pool, store, ENGINE, 0)
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    kept = [row for each in pool for row in store.read(each.shelf).to_pylist()]
    assert len(kept) == len(endpoint.bodies) < 12 * len(names)
    assert not [row for row in kept if row["error"]]


def test_tables_do_not_depend_on_which_answers_come_first(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    asked = prompts(4, "a", "b", "c", words="slow ")
    for name, pairs in prompts(12, "a", "b", "c").items():
        asked[name] += pairs
    tables = []
    for at_once in (1, 8):
        pool, store = hosted(endpoint, *"abc", max_concurrency=at_once), tmp_path / f"{at_once}"
        tables.append(teachers.answer(asked, pool, ResponseStore(store), ENGINE, 0))
    (first, calls), (second, again) = tables
    assert first.equals(second) and calls.equals(again) and len(first) == 48
