"""Batch APIs when jobs fail, expire or are lost: nothing is sent or paid for twice."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from persyn_kedro.domain import teachers
from persyn_kedro.domain.engines.base import EngineError
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.foundations.errors import PersynError, Waiting
from persyn_kedro.foundations.settings.engine import EngineSettings
from tests.support.batch_server import Service, prompt_of
from tests.support.batched_teachers import PROMPTS, ask, batched
from tests.support.fake_engine import recipe as local_recipe
from tests.support.hosted_teachers import wanted


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_what_expired_or_was_cancelled_is_asked_again(
    service: Service, kind: str, store: ResponseStore, status: str
) -> None:
    teacher = batched(service, kind)
    with pytest.raises(Waiting):
        ask(teacher, store)
    service.end(status=status)
    rows = ask(teacher, store)
    assert [bool(row["error"]) for row in rows] == [False] * 3 + [True] * 3
    assert all(status.replace("ll", "l")[:6] in row["error"].replace("ll", "l") for row in rows[3:])
    with pytest.raises(Waiting, match=r"for 3 answers of .*\(batch_1\)"):
        ask(teacher, store)
    service.end()
    assert [row["response"] for row in ask(teacher, store)] == [f"echo {p}" for p in PROMPTS]
    assert sorted(service.sent.values()) == [1, 1, 1, 2, 2, 2]


def test_a_request_that_failed_is_a_row_with_its_error(
    service: Service, kind: str, store: ResponseStore
) -> None:
    service.at_once = True
    service.answers = lambda prompt: "<overlong>" if "3" in prompt else "fine"
    rows = ask(batched(service, kind), store)
    assert [row["error"] for row in rows if row["error"]] == ["HTTP 400: no: overlong"]


def test_answers_of_a_failing_job_are_all_kept_and_it_is_not_collected_again(
    service: Service, kind: str, store: ResponseStore
) -> None:
    service.at_once = True
    service.answers = lambda prompt: "fine" if prompt == "p 0" else "<broken>"
    prompts = [f"p {i}" for i in range(30)]
    ask(batched(service, kind), store, prompts)
    rows = store.read(batched(service, kind).shelf).to_pylist()
    assert len(rows) == 30 and sum(row["error"] is None for row in rows) == 1
    service.answers = "echo {}".format
    assert not any(row["error"] for row in ask(batched(service, kind), store, prompts))
    assert len(service.batches) == 2


def test_a_job_that_failed_as_a_whole_is_rows_with_its_reason(
    service: Service, store: ResponseStore
) -> None:
    teacher = batched(service, "openai")
    with pytest.raises(Waiting):
        ask(teacher, store)
    service.end(status="failed")
    for batch in service.batches.values():
        batch.results = {}
    rows = ask(teacher, store)
    assert {row["error"] for row in rows} == {"HTTP 400: Enqueued token limit reached."}
    with pytest.raises(Waiting, match="batch_1"):
        ask(teacher, store)


def test_a_service_that_refuses_stops_its_teacher_with_what_to_change(
    service: Service, kind: str, store: ResponseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCH_KEY", "sk-quite-secret-thing")
    teacher = batched(service, kind, api_key_env="BATCH_KEY")
    body = {"error": {"message": "Incorrect API key: sk-quite-secret-thing", "type": "x"}}
    service.refusal = (401, body)
    with pytest.raises(
        PersynError, match="check the key in the environment variable BATCH_KEY"
    ) as e:
        ask(teacher, store)
    assert "secret" not in str(e.value) and not isinstance(e.value, Waiting)
    service.refusal, service.at_once = None, True
    assert len(ask(teacher, store)) == 6 and service.sent == dict.fromkeys(PROMPTS, 1)


def test_a_service_that_is_away_while_jobs_are_under_way_is_waited_for(
    service: Service, kind: str, store: ResponseStore
) -> None:
    teacher = batched(service, kind)
    with pytest.raises(Waiting):
        ask(teacher, store)
    service.refusal = (503, {"error": {"message": "overloaded"}})
    with pytest.raises(Waiting, match=r"\(batch_0\): run .* \(HTTP 503: overloaded\)\.$"):
        ask(teacher, store)
    service.refusal = None
    service.end()
    assert len(ask(teacher, store)) == 6


def test_a_job_made_by_a_request_that_got_no_reply_is_recognised(
    service: Service, kind: str, store: ResponseStore
) -> None:
    name = "after job" if kind == "openai" else "after message job"
    service.step = lambda step: step == name
    with pytest.raises(Waiting, match=r"\(not certain \("):
        ask(batched(service, kind), store)
    service.step = lambda step: False
    service.end()
    assert len(ask(batched(service, kind), store)) == 6
    assert len(service.batches) == 1


def test_anthropic_s_job_of_the_same_size_is_not_sent_again_before_it_is_told_apart(
    service: Service, store: ResponseStore
) -> None:
    teacher = batched(service, "anthropic")
    service.step = lambda step: step == "before message job"  # it never arrives
    with pytest.raises(Waiting):
        ask(teacher, store)
    service.step = lambda step: False
    other = service.make({f"x{i}": {"messages": [{"content": "?"}]} for i in range(6)})
    with pytest.raises(Waiting, match=rf"for 6 answers .*\({other.id}\)"):
        ask(teacher, store)
    assert len(service.batches) == 1
    service.end()  # and is another's
    with pytest.raises(Waiting, match="batch_1"):
        ask(teacher, store)
    assert sum(prompt_of(row) in PROMPTS for row in service.batches["batch_1"].requests.values())


def test_jobs_from_before_ours_was_begun_are_not_looked_at(
    service: Service, kind: str, store: ResponseStore
) -> None:
    old = service.make({f"x{i}": {"messages": [{"content": "?"}]} for i in range(6)})
    old.made = time.time() - timedelta(days=2).total_seconds()
    keys = [f"k{i}" for i in range(6)]
    weights_id = batched(service, kind).weights_id
    job = store.jobs.intend(kind, weights_id, keys)
    assert job.made <= datetime.now(UTC)
    with pytest.raises(Waiting, match="batch_1"):
        ask(batched(service, kind), store)


def test_a_damaged_record_is_one_sentence(
    service: Service, kind: str, store: ResponseStore
) -> None:
    with pytest.raises(Waiting):
        ask(batched(service, kind), store)
    (record,) = store.jobs.root.glob("*/sent.json")
    record.write_text("{")  # type: ignore[union-attr]
    with pytest.raises(PersynError, match="is damaged .* delete .* to send its requests again"):
        ask(batched(service, kind), store)
    assert len(service.batches) == 1


def test_an_error_of_one_model_lets_the_others_finish(
    service: Service, store: ResponseStore, fake: object
) -> None:
    service.refusal = (401, {"error": {"message": "no"}})
    pool = [batched(service, "openai"), local_recipe("local")]
    asked = {**wanted(PROMPTS), **wanted(PROMPTS, "local")}
    with pytest.raises(PersynError, match="The batch service of model 'hosted' failed") as raised:
        teachers.answer(asked, pool, store, EngineSettings(name="transformers"), 0)
    assert not isinstance(raised.value, Waiting | EngineError)
    assert len(store.read(pool[1].shelf)) == 6
