"""A server that will refuse every call: its teacher stops at the first, and the others go on."""

import json
import traceback
from dataclasses import replace
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
from tests.support.endpoint import Endpoint, replying
from tests.support.hosted_teachers import recipe, remote, wanted

ENGINE = EngineSettings()
NO_KEY = {"message": "Incorrect API key provided: %HEAD%****%TAIL%"}
NO_MONEY = {"message": "You exceeded your current quota", "code": "insufficient_quota"}
HOT = {"message": "temperature must be at most 2", "param": "temperature"}


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (replying(401, {"error": NO_KEY}), r"HTTP 401: Incorrect API key provided: "
         r"\*\*\*\): check the key in the environment variable TEST_KEY; all answers are kept"),
        (replying(429, {"error": NO_MONEY}), r"HTTP 429: You exceeded.*\): add credit to the "
         r"account that the key in the environment variable TEST_KEY belongs to"),
        (replying(200, {"error": {"message": "Insufficient credits", "code": 402}}),
         r"HTTP 402: Insufficient credits\): add credit"),
        (replying(403, {"error": {"message": "Not yours"}}), r"HTTP 403: Not yours\): check the "
         r"permissions"),
        (replying(404, {"error": {"message": "No model m"}}),
         r"HTTP 404: No model m\): check models\.hosted\.endpoint\.model"),
        (replying(400, {"error": HOT}),
         r"set teachers\.t\.sampling\.temperature: null, which sends none, or change it;"),
        (replying(422, {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs"}]}),
         r"set teachers\.t\.sampling\.seed: null, which sends none;"),
        (replying(429, {"error": {"message": "Busy"}}, headers={"Retry-After": "90000"}),
         r"to retry in 1 day, 1:00:00 h \(at 20\d\d-.* UTC\): HTTP 429: Busy\): run the same "
         r"command again then, or raise models\.hosted\.endpoint\.max_retry_after_seconds;"),
        ("reply " + json.dumps({"page": "<html><title>Sign in</title>"}),
         r"a web page instead of an answer: Sign in\): check models\.hosted\.endpoint\.model"),
    ],
)  # fmt: skip
def test_a_teacher_stops_at_the_first_refusal_that_all_calls_would_get(
    endpoint: Endpoint, tmp_path: Path, reply: str, sentence: str
) -> None:
    store, ledger = ResponseStore(tmp_path), Ledger()
    model = remote(endpoint, max_concurrency=1)
    prompts = [reply, *(f"p{i}" for i in range(9))]
    engine = EngineSettings(budget=Budget(max_tokens=100_000))
    with pytest.raises(PersynError, match=r"Teacher 't' was stopped because every other call to "
                       r"openai hosted would fail too \(.*" + sentence):  # fmt: skip
        teachers.answer(wanted(prompts), [recipe(model)], store, engine, 0, ledger)
    tries = 3 if "page" in reply else 1  # a page may pass
    assert len(endpoint.bodies) == tries and ledger.spent() == (0.0, 0.0)
    (row,) = store.read(recipe(model).shelf).to_pylist()
    assert row["finish_reason"] == "error" and row["engine"] == "openai"
    outcomes, calls = teachers.make_sure(
        wanted(prompts), [recipe(model)], store, engine, 0, ledger, go_on=True
    )
    assert (calls.to_pylist()[0]["calls"], calls.to_pylist()[0]["errors"]) == (1, 10)
    assert unsettled_rows(outcomes.schema) == 10, "the next run asks again"
    teachers.make_sure(wanted(prompts[1:]), [recipe(model)], store, engine, 0, ledger)
    assert len(endpoint.bodies) == 2 * tries + 9, "mended, all others are asked"


def test_the_other_models_go_on_and_what_was_under_way_is_kept(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    store, refusal = ResponseStore(tmp_path), replying(402, {"error": {"message": "No money"}})
    far = ModelSettings(endpoint={"url": endpoint.url, "model": "b"})  # type: ignore[arg-type]
    poor = recipe(remote(endpoint, max_concurrency=4), "poor")
    rich = recipe(resolve_model("b", far), "rich")
    under_way = [f"slow {i}" for i in range(3)]
    asked = wanted([*under_way, refusal, *(f"p{i}" for i in range(40))], "poor")
    asked |= wanted(["fine 0", "fine 1"], "rich")
    with pytest.raises(PersynError, match="'poor' was stopped.*add credit"):
        teachers.answer(asked, [poor, rich], store, ENGINE, 0)
    kept = store.read(poor.shelf).to_pylist()
    assert {r["response"] for r in kept if not r["error"]} == {f"echo {p}" for p in under_way}
    assert len(kept) == len(endpoint.bodies) - 2 == 4
    responses, _ = teachers.answer(asked, [poor, rich], store, ENGINE, 0, go_on=True)
    fine = [r["error"] for r in responses.to_pylist() if r["teacher"] == "rich"]
    assert fine == [None, None]


def test_the_teacher_whose_call_was_refused_is_named(endpoint: Endpoint, tmp_path: Path) -> None:
    model = remote(endpoint, max_concurrency=1)
    cool, hot = recipe(model, "cool"), replace(recipe(model, "hot"), system="Be hot.")
    asked = wanted(["fine"], "cool") | wanted([replying(401, {"error": NO_KEY}), "p"], "hot")
    with pytest.raises(PersynError, match="Teacher 'hot' was stopped"):
        teachers.answer(asked, [cool, hot], ResponseStore(tmp_path), ENGINE, 0)


def test_a_parameter_that_was_accepted_before_is_this_prompts_own_fault(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    prompts = ["first", replying(400, {"error": HOT}), "last"]
    one = recipe(remote(endpoint, max_concurrency=1))
    responses, _ = teachers.answer(wanted(prompts), [one], ResponseStore(tmp_path), ENGINE, 0)
    assert [bool(e) for e in responses["error"].to_pylist()] == [False, True, False]


@pytest.mark.parametrize("shown", ["%KEY%", "%HEAD%****%TAIL%", "...%TAIL%", "%HEAD%"])
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_no_part_of_the_key_is_in_rows_logs_and_tracebacks(
    endpoint: Endpoint,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    shown: str,
    status: int,
) -> None:
    key = "sk-9fKq2LwZx7VbTn4RcYp8Hj"
    monkeypatch.setenv("TEST_KEY", f"{key}\n")  # as a file's text ends
    message = "x" * 279 + f" the key {shown} is not yours"  # of 300 that are kept it begins at 298
    prompts = [replying(status, {"error": {"message": message, "code": status}})] * 12
    caplog.set_level("DEBUG")
    store, t = ResponseStore(tmp_path), recipe(remote(endpoint, max_tries=1))
    asked = {"t": [(f"id {i}", p) for i, p in enumerate(prompts)]}
    with pytest.raises(PersynError) as stopped:
        teachers.answer(asked, [t], store, ENGINE, 0)
    told = "".join(traceback.format_exception(stopped.value)) + caplog.text
    told += str([row["error"] for row in store.read(t.shelf).to_pylist()])
    assert endpoint.keys == {f"Bearer {key}"} and "the key *" in told
    pieces = {key[i : i + 4] for i in range(len(key) - 3)}
    assert not {piece for piece in pieces if piece in told} and "the key sk" not in told
