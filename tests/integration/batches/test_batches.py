"""Batch APIs: what is sent, collected, stored and booked, against a server that keeps jobs."""

import json
import threading

import pytest

from persyn_kedro.domain import teachers
from persyn_kedro.domain.engines.batch import engine as batch_engine
from persyn_kedro.domain.engines.batch.anthropic_service import AnthropicBatches
from persyn_kedro.domain.engines.batch.openai_service import OpenAIBatches
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers import Ledger
from persyn_kedro.foundations.errors import Waiting
from persyn_kedro.foundations.prompts.conversation import Conversation, Message
from persyn_kedro.foundations.settings.engine import EngineSettings
from tests.support.batch_server import Service
from tests.support.batched_teachers import PROMPTS, ask, batched
from tests.support.fake_engine import recipe as local_recipe
from tests.support.hosted_teachers import wanted


def test_a_run_ends_as_waiting_and_the_same_command_collects(
    service: Service, kind: str, store: ResponseStore
) -> None:
    teacher = batched(service, kind)
    sentence = (
        rf"^Waiting for 6 answers of teacher 't' from {kind} batch \(batch_0\): run the same "
        r"command again to collect them\.$"
    )
    for _ in range(2):
        with pytest.raises(Waiting, match=sentence):
            ask(teacher, store)
    service.end()
    ledger = Ledger()
    rows = ask(teacher, store, ledger=ledger)
    assert [row["response"] for row in rows] == [f"echo {prompt}" for prompt in PROMPTS]
    assert {row["engine"] for row in rows} == {f"{kind} batch"}
    names = ("prompt_tokens", "cached_prompt_tokens", "completion_tokens")
    assert {tuple(row[name] for name in names) for row in rows} == {(11, 8, 5)}
    (counts,) = ledger.take_counts()
    assert (counts["calls"], counts["by_batch"]) == (6, 6)
    assert counts["cost"] == pytest.approx(6 * 0.5 * (11 * 1 + 5 * 2) / 1e6)
    assert service.sent == dict.fromkeys(PROMPTS, 1)
    looks = service.calls.copy()
    assert ask(teacher, store) == rows
    assert service.calls == looks


def test_an_answer_by_batch_is_the_same_answer(
    service: Service, kind: str, store: ResponseStore
) -> None:
    service.at_once = True
    by_batch, direct = batched(service, kind), batched(service, kind, batch=None)
    assert by_batch.shelf == direct.shelf
    rows = ask(by_batch, store)
    assert ask(direct, store) == rows


def test_it_waits_if_the_settings_say_so(service: Service, kind: str, store: ResponseStore) -> None:
    threading.Timer(0.3, service.end).start()
    rows = ask(batched(service, kind, batch_poll_seconds=0.05), store)
    assert len(rows) == 6 and service.calls["look" if kind == "openai" else "message look"] > 1


def test_openai_is_sent_a_file_of_chat_completions(service: Service, store: ResponseStore) -> None:
    with pytest.raises(Waiting):
        ask(batched(service, "openai", temperature=0.5, extra_body={"stop": "END"}), store)
    ((name, data),) = service.files.values()
    (job,) = service.batches.values()
    (record,) = store.jobs.open("openai", batched(service, "openai").weights_id)
    assert name == f"persyn-{record.name}.jsonl" and job.metadata == {"persyn_job": record.name}
    assert record.sent == job.id and set(record.keys) == set(job.requests)
    line = json.loads(data.splitlines()[0])
    assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
    body = line["body"]
    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    told = {name: body[name] for name in ("model", "max_tokens", "temperature", "stop")}
    assert told == {"model": "m", "max_tokens": 10, "temperature": 0.5, "stop": "END"}
    assert "seed" in body


def test_anthropic_is_sent_messages_in_its_own_form(service: Service, store: ResponseStore) -> None:
    with pytest.raises(Waiting):
        ask(batched(service, "anthropic", temperature=0.5, extra_body={"stop": "END"}), store)
    (job,) = service.batches.values()
    params = job.requests[next(iter(job.requests))]
    assert params.pop("messages") == [{"role": "user", "content": PROMPTS[0]}]
    assert params == {
        "model": "m", "max_tokens": 10, "system": "Be brief.", "temperature": 0.5,
        "stop_sequences": ["END"],
    }  # fmt: skip


def test_a_tool_s_message_is_set_aside_for_anthropic_and_for_good(
    service: Service, store: ResponseStore
) -> None:
    talk = Conversation(
        (Message("user", "?"), Message("tool", "7"), Message("user", "What is it?"))
    )
    service.at_once = True
    asked = {"t": [("id", talk), ("other", "What is 1 + 1?")]}
    pool, engine = [batched(service, "anthropic")], EngineSettings()
    for _ in range(2):
        rows = teachers.answer(asked, pool, store, engine, 0, go_on=True)[0].to_pylist()
        assert rows[0]["error"] == "set aside: Anthropic's messages have no role tool"
        assert rows[0]["engine"] is None and rows[1]["response"] == "echo What is 1 + 1?"
    assert len(service.batches) == 1


@pytest.mark.parametrize("limit", ["most_requests", "most_bytes"])
def test_the_services_limits_split_the_requests(
    service: Service, kind: str, store: ResponseStore, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = {"openai": OpenAIBatches, "anthropic": AnthropicBatches}[kind]
    monkeypatch.setattr(owner, limit, {"most_requests": 4, "most_bytes": 900}[limit])
    with pytest.raises(Waiting, match=r"\(batch_0, batch_1"):
        ask(batched(service, kind), store)
    assert service.sent == dict.fromkeys(PROMPTS, 1)
    if limit == "most_requests":
        assert [len(batch.requests) for batch in service.batches.values()] == [4, 2]
    else:
        assert all(len(data) <= 900 for _, data in service.files.values())
    service.end()
    assert len(ask(batched(service, kind), store)) == 6


def test_a_request_beyond_the_limit_is_set_aside(
    service: Service, kind: str, store: ResponseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = {"openai": OpenAIBatches, "anthropic": AnthropicBatches}[kind]
    monkeypatch.setattr(owner, "most_bytes", 900)
    service.at_once = True
    rows = ask(batched(service, kind), store, ["short", "long " * 300])
    assert [row["error"] for row in rows] == [None, batch_engine.TOO_LARGE]


def test_the_services_limits_are_those_that_they_publish() -> None:
    assert (OpenAIBatches.most_requests, OpenAIBatches.most_bytes) == (50_000, 200_000_000)
    assert AnthropicBatches.most_requests == 100_000
    assert 255_000_000 < AnthropicBatches.most_bytes <= 256_000_000


def test_a_budget_reserves_what_is_under_way_over_runs_too(
    service: Service, kind: str, store: ResponseStore
) -> None:
    """A call is at worst 64 + 9 + 14 or so tokens of prompt, and 10 of answer: about 100."""
    teacher = batched(service, kind)
    with pytest.raises(Waiting, match="for 3 answers .* room for 3 more only once"):
        ask(teacher, store, max_tokens=320)
    more = [*reversed(PROMPTS)]
    with pytest.raises(Waiting, match="for 3 answers"):
        ask(teacher, store, more, max_tokens=320)
    with pytest.raises(Waiting, match="for 5 answers"):  # 3 are committed, two more fit
        ask(teacher, store, more, max_tokens=520)
    service.end()
    with pytest.raises(Waiting, match="for 1 answer"):  # these took 5 * 16, and release the rest
        ask(teacher, store, max_tokens=550)
    service.end()
    ledger = Ledger()
    assert len(ask(teacher, store, ledger=ledger, max_tokens=1)) == 6  # it is paid for
    assert ledger.spent()[0] == 16
    assert service.sent == dict.fromkeys(PROMPTS, 1)


def test_what_waits_counts_as_spent_for_the_others(service: Service, store: ResponseStore) -> None:
    ledger, teacher = Ledger(), batched(service, "openai")
    with pytest.raises(Waiting):
        ask(teacher, store, ledger=ledger, max_tokens=700)
    assert 500 < ledger.spent()[0] <= 700
    assert not ledger.has_in_flight(["t"])


def test_other_teachers_answer_before_the_run_ends_as_waiting(
    service: Service, kind: str, store: ResponseStore, fake: object
) -> None:
    pool = [batched(service, kind), local_recipe("slow")]
    asked = {**wanted(PROMPTS), **wanted(PROMPTS, "slow")}
    with pytest.raises(Waiting, match="teacher 't'"):
        teachers.answer(asked, pool, store, EngineSettings(name="transformers"), 0)
    assert len(store.read(pool[1].shelf)) == 6
