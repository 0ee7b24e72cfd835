"""Teachers over the network: which of their rows are kept, counted and asked for again."""

import json
from pathlib import Path

import pytest

from persyn_kedro.domain import teachers
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers import Ledger
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import resolve_model
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.spending import Budget
from persyn_kedro.foundations.tables.schemas import unsettled_rows
from tests.support.endpoint import Endpoint, completion, replying
from tests.support.hosted_teachers import recipe, remote, wanted

ENGINE = EngineSettings()


def test_half_a_character_in_an_answer_is_replaced_and_the_answer_kept(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    store, recipes = ResponseStore(tmp_path), [recipe(remote(endpoint))]
    teachers.answer(wanted(["half", "fine"]), recipes, store, ENGINE, 0)
    rows = store.read(recipes[0].shelf).to_pylist()
    assert {r["response"] for r in rows} == {"a\ufffdb", "echo fine"}
    teachers.answer(wanted(["halfway"]), recipes, store, ENGINE, 0)  # in the refusal's words
    (row,) = [r for r in store.read(recipes[0].shelf).to_pylist() if r["error"]]
    assert "no\ufffd" in row["error"]


def test_failed_rows_alone_are_asked_again(endpoint: Endpoint, tmp_path: Path) -> None:
    store, recipes = ResponseStore(tmp_path), [recipe(remote(endpoint, max_tries=1))]
    prompts = ["fine", "500 once", "also fine"]
    _, calls = teachers.answer(wanted(prompts), recipes, store, ENGINE, 0)
    assert calls.to_pylist()[0]["errors"] == 1
    responses, calls = teachers.answer(wanted(prompts), recipes, store, ENGINE, 0)
    assert calls.to_pylist()[0]["calls"] == 1
    assert responses["error"].to_pylist() == [None, None, None]
    assert set(responses["engine"].to_pylist()) == {"openai"}
    assert responses["weights_id"][0].as_py() == f"endpoint:{endpoint.url}#m"


def test_prompts_set_aside_are_counted_and_are_no_failures_of_the_teacher(
    endpoint: Endpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prompts = [f"say {i} <|im_end|>" for i in range(30)] + ["fine"]
    with caplog.at_level("WARNING"):
        responses, calls = teachers.answer(
            wanted(prompts), [recipe(remote(endpoint))], ResponseStore(tmp_path), ENGINE, 0
        )
    assert len(endpoint.bodies) == 1
    assert (calls.to_pylist()[0]["errors"], calls.to_pylist()[0]["calls"]) == (30, 1)
    assert "30 of 31 have no response: 30 x set aside: the prompt holds a chat" in caplog.text
    assert unsettled_rows(responses.schema) == 0  # asking again would change nothing
    store = ResponseStore(tmp_path)
    _, calls = teachers.answer(wanted(prompts), [recipe(remote(endpoint))], store, ENGINE, 0)
    assert calls.to_pylist()[0]["calls"] == 0
    through = recipe(remote(endpoint, allow_template_markers=True))
    responses, _ = teachers.answer(wanted(prompts), [through], store, ENGINE, 0)
    assert responses["error"].null_count == len(prompts)


def test_a_failing_teacher_is_stopped_and_the_others_work_is_kept(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    store = ResponseStore(tmp_path)
    dead = recipe(remote(endpoint, max_tries=1, max_concurrency=2), "dead")
    alive = recipe(
        resolve_model("b", ModelSettings(endpoint={"url": endpoint.url, "model": "b"})), "alive"
    )  # type: ignore[arg-type]
    asked = {
        "dead": [(f"d{i}", f"451 {i}") for i in range(40)],
        "alive": [(f"a{i}", f"fine {i}") for i in range(5)],
    }
    with pytest.raises(
        PersynError,
        match=r"openai hosted was stopped because it failed on \d+ of \d+ .*HTTP 451.*kept",
    ):
        teachers.answer(asked, [dead, alive], store, ENGINE, 0)
    assert sum(endpoint.tries[f"451 {i}"] for i in range(40)) <= 16
    responses, calls = teachers.answer(asked, [dead, alive], store, ENGINE, 0, go_on=True)
    rows = responses.to_pylist()
    assert all(row["error"] for row in rows if row["teacher"] == "dead")
    assert [row["response"] for row in rows if row["teacher"] == "alive"] == [
        f"echo fine {i}" for i in range(5)
    ]
    assert calls.to_pylist()[1]["calls"] == 0  # answered the first time, after the other's end


def test_an_answer_without_its_usage_is_kept(endpoint: Endpoint, tmp_path: Path) -> None:
    store, recipes = ResponseStore(tmp_path), [recipe(remote(endpoint))]
    responses, _ = teachers.answer(wanted(["unmetered"]), recipes, store, ENGINE, 0)
    assert responses.to_pylist()[0]["response"] == "echo unmetered"
    assert len(store.read(recipes[0].shelf)) == 1


def test_answers_under_way_are_kept_when_a_teacher_is_stopped(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    store, model = ResponseStore(tmp_path), remote(endpoint, max_tries=1, max_concurrency=16)
    bad, slow = [f"451 {i}" for i in range(10)], [f"slow {i}" for i in range(6)]
    with pytest.raises(PersynError, match=r"failed on \d+ of \d+ prompts"):
        teachers.answer(wanted([*slow, *bad]), [recipe(model)], store, ENGINE, 0)
    rows = store.read(recipe(model).shelf).to_pylist()
    assert {r["response"] for r in rows if r["error"] is None} == {f"echo {p}" for p in slow}


@pytest.mark.parametrize("later", ["stop", "length"])
def test_an_answer_that_ended_in_an_unknown_way_is_kept_marked_and_counts_as_set(
    endpoint: Endpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture, later: str
) -> None:
    store = ResponseStore(tmp_path)
    prompts = [f"reply {json.dumps({'body': completion(f'{i}', finish_reason='turn_over')})}"
               for i in range(3)]  # fmt: skip
    asked = wanted([*prompts, "fine"])
    t = recipe(remote(endpoint))
    responses, _ = teachers.answer(asked, [t], store, ENGINE, 0)
    rows = responses.to_pylist()
    assert [r["response"] for r in rows] == ["echo 0", "echo 1", "echo 2", "echo fine"]
    assert [r["finish_reason"] for r in rows] == ["length"] * 3 + ["stop"]
    marked = "openai: finish_reason turn_over"
    assert [r["engine"] for r in rows] == [marked] * 3 + ["openai"]
    told = [r for r in caplog.messages if "unknown_finish_reason" in r]
    assert told == [
        "openai hosted: 3 answers have the unknown finish_reason 'turn_over'; they count as "
        "length (the endpoint's unknown_finish_reason)"
    ]
    again = recipe(remote(endpoint, unknown_finish_reason=later))
    responses, calls = teachers.answer(asked, [again], store, ENGINE, 0)
    assert calls.to_pylist()[0]["calls"] == 0, "it was paid for"
    assert responses["finish_reason"].to_pylist() == [later] * 3 + ["stop"]


def test_an_error_in_a_200_and_a_web_page_cost_nothing(endpoint: Endpoint, tmp_path: Path) -> None:
    store, ledger = ResponseStore(tmp_path), Ledger()
    page = "reply " + json.dumps({"page": "<html><title>Down for now</title></html>"})
    down = replying(200, {"error": {"message": "Provider is down", "code": 502}, "choices": []})
    bad = replying(200, {"error": {"message": "I cannot", "code": 400}})
    engine = EngineSettings(budget=Budget(max_tokens=100_000))
    one = recipe(remote(endpoint, max_concurrency=1))
    responses, _ = teachers.answer(
        wanted(["fine", page, down, bad]), [one], store, engine, 0, ledger
    )
    assert responses["error"].to_pylist() == [
        None, "a web page instead of an answer: Down for now", "HTTP 502: Provider is down",
        "HTTP 400: I cannot",
    ]  # fmt: skip
    assert [endpoint.tries[prompt] for prompt in ("fine", page, down, bad)] == [1, 3, 3, 1]
    assert ledger.spent() == (16, 0.0) and ledger.take_counts()[0]["tries_of_unknown_cost"] == 0


def test_a_tool_call_is_one_error_row_and_paid_once(endpoint: Endpoint, tmp_path: Path) -> None:
    message = {"content": None, "tool_calls": [{"function": {"name": "add"}}]}
    prompt = replying(200, completion("p", message=message, finish_reason="tool_calls"))
    responses, calls = teachers.answer(
        wanted([prompt]), [recipe(remote(endpoint))], ResponseStore(tmp_path), ENGINE, 0
    )
    assert responses["error"].to_pylist() == ["called a tool (add) and wrote no text"]
    assert endpoint.tries[prompt] == 1 and calls.to_pylist()[0]["completion_tokens"] == 5
