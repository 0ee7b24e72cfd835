"""What a run may spend: it ends before the call that could exceed it."""

from pathlib import Path

import pytest

from persyn_kedro.domain import teachers
from persyn_kedro.domain.engines.base import Generation, Request
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers import Ledger
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import resolve_model
from persyn_kedro.foundations.prompts.conversation import Conversation, Message
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.spending import Budget
from tests.support.endpoint import Endpoint
from tests.support.hosted_teachers import recipe, remote, wanted

ENGINE = EngineSettings()


def test_what_may_have_been_charged_counts_against_the_budget(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    # A try is at worst 6 + 64 + 10 tokens ("hang 0", template, max_new_tokens); 3 tries 240.
    budget = Budget(max_tokens=300)
    for prompts in ([f"hang {i}" for i in range(5)], [f"unmetered {i}" for i in range(20)]):
        model = remote(endpoint, max_concurrency=1, timeout_seconds=0.2)
        before = len(endpoint.bodies)
        with pytest.raises(PersynError, match="max_tokens = 300"):
            teachers.answer(
                wanted(prompts), [recipe(model, budget=budget)], ResponseStore(tmp_path), ENGINE, 0
            )
        assert len(endpoint.bodies) - before <= 9  # not 15, and not 20


def test_the_ledger_tells_what_a_step_took() -> None:
    far = ModelSettings(endpoint={"url": "http://h/v1", "model": "b"})  # type: ignore[arg-type]
    prices = {"price": 2e6, "prompt_price": 3e6, "cached_prompt_price": 1e6}
    ledger, t = Ledger(), recipe(resolve_model("b", far), **prices)
    for key, error in (("k", None), ("l", "HTTP 404")):
        ledger.reserve(t, Request(key, "p", None, t.sampling, 0), Budget())
        answer = Generation(key, "", "stop", 3, 4, error, cached_prompt_tokens=2)
        ledger.book(t, key, answer)
    ledger.time(1.5, {"t": 8})
    assert ledger.take_counts() == [
        {
            "teacher": "t", "calls": 2, "prompt_tokens": 6, "completion_tokens": 8, "cost": 26.0,
            "cached_prompt_tokens": 4, "failures": 1, "tries_of_unknown_cost": 0, "seconds": 1.5,
        }
    ]  # fmt: skip
    assert ledger.take_counts() == []


def test_each_turn_of_a_conversation_has_room_for_the_templates_tokens() -> None:
    ledger, t = Ledger(), recipe(resolve_model("r", ModelSettings(random="chat")))
    turns = [Message(("user", "assistant")[i % 2], "ok") for i in range(101)]
    talk, of_turns = (
        Conversation(tuple(turns)),
        101 * 6,
    )  # ChatML: two markers, role, two breaks, ok
    ledger.reserve(t, Request("k", talk, "Hi", t.sampling, 0), Budget(max_tokens=10**6))
    assert ledger.spent()[0] == 2 + 101 * 2 + 64 + 100 * 16 + 10 > of_turns
    ledger.reserve(t, Request("l", "ok", "Hi", t.sampling, 0), Budget(max_tokens=10**6))
    assert ledger.spent()[0] == 1878 + 2 + 2 + 64 + 10  # of a text as ever


@pytest.mark.parametrize(
    ("whose", "budget"),
    [
        ("teacher 't'", Budget(max_tokens=300)),
        ("teacher 't'", Budget(max_cost=3e-4)),
        ("the run", Budget(max_tokens=300)),
    ],
)
def test_the_budget_ends_before_the_call_that_could_pass_it(
    endpoint: Endpoint, tmp_path: Path, whose: str, budget: Budget
) -> None:
    store = ResponseStore(tmp_path)
    model = remote(endpoint, max_concurrency=1)
    of_teacher = budget if "teacher" in whose else Budget()
    engine = EngineSettings(budget=Budget() if "teacher" in whose else budget)
    recipes = [recipe(model, price=1.0, prompt_price=1.0, budget=of_teacher)]
    prompts = [f"p{i:02}" for i in range(40)]
    ledger = Ledger()
    with pytest.raises(PersynError, match=f"could exceed .* of {whose}"):
        teachers.answer(wanted(prompts), recipes, store, engine, 0, ledger)
    tokens, cost = ledger.spent()
    made = len(endpoint.bodies)
    assert 8 <= made < 40  # 16 tokens each, and at worst 77 for the one or two under way
    assert tokens == 16 * made <= 300
    assert cost == pytest.approx(16e-6 * made) and cost <= 3e-4
    _, calls = teachers.answer(wanted(prompts[:made]), recipes, store, engine, 0, ledger)
    assert calls.to_pylist()[0]["calls"] == 0  # nothing is paid for twice
