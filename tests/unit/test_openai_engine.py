"""Teachers over the network: what is retried, what is final, and how fast one may ask."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.teachers import answering, openai_engine
from persyn_kedro.domain.teachers.adaptive_limit import AdaptiveLimit
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.domain.teachers.engine import Generation, Request
from persyn_kedro.domain.teachers.recipes import Recipe
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.parameters import (
    Budget,
    EngineSettings,
    ModelSettings,
    SamplingSettings,
)
from persyn_kedro.foundations.schemas import unsettled_rows
from persyn_kedro.foundations.weights import ResolvedModel, check_source, resolve_model
from tests.endpoint import Endpoint, serve

ENGINE = EngineSettings()
KEY = "sk-very-secret"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("TEST_KEY", KEY)
    with serve() as running:
        yield running


def remote(endpoint: Endpoint, **settings: object) -> ResolvedModel:
    fast = {"timeout_seconds": 0.7, "backoff_seconds": 0.01, "max_tries": 3, **settings}
    source = {"url": endpoint.url, "model": "m", "api_key_env": "TEST_KEY", **fast}
    return resolve_model("hosted", ModelSettings(endpoint=source))  # type: ignore[arg-type]


def ask(
    model: ResolvedModel, prompts: list[str], sampling: SamplingSettings | None = None
) -> dict[str, Generation]:
    sampling = sampling or SamplingSettings()
    requests = [Request(p, p, "Be kind.", sampling, seed=5) for p in prompts]
    return {g.key: g for g in openai_engine.generate(requests, model, ENGINE)}


@pytest.mark.parametrize(
    "fault", ["429 once", "429 once with patience", "500 once", "503 once", "408 once", "409 once",
              "hang once", "reset once", "malformed once", "empty once"],
)  # fmt: skip
def test_what_may_pass_is_asked_again(endpoint: Endpoint, fault: str) -> None:
    answer = ask(remote(endpoint), [fault])[fault]
    assert (answer.error, answer.response, answer.finish_reason) == (None, f"echo {fault}", "stop")
    assert (answer.prompt_tokens, answer.completion_tokens) == (11, 5)
    assert endpoint.tries[fault] == 2


@pytest.mark.parametrize(
    ("fault", "tries", "error"),
    [
        ("400", 1, "HTTP 400"),
        ("401", 1, "HTTP 401"),
        ("404", 1, "HTTP 404"),
        ("500", 3, "HTTP 500"),
        ("429", 3, "HTTP 429"),
        ("hang", 3, "no answer within 0.7 s"),
        ("malformed", 3, "not JSON"),
        ("empty", 3, "without a choice"),
        ("content_filter", 1, "finish reason content_filter"),
        ("parts", 3, "no text"),
    ],
)
def test_what_stays_wrong_is_an_error_row_without_the_key(
    endpoint: Endpoint, fault: str, tries: int, error: str
) -> None:
    answers = ask(remote(endpoint), [fault, "fine"])
    assert answers["fine"].error is None
    assert answers[fault].finish_reason == "error" and answers[fault].response == ""
    assert error in str(answers[fault].error)
    assert KEY not in str(answers[fault])
    assert endpoint.tries[fault] == tries


def test_a_cut_off_answer_is_marked_and_thinking_is_put_back(endpoint: Endpoint) -> None:
    answers = ask(remote(endpoint), ["length", "thinking"])
    assert answers["length"].finish_reason == "length" and answers["length"].response
    assert answers["thinking"].response == "<think>It is 7.</think>\n7"


def test_half_a_character_in_an_answer_is_replaced_and_the_answer_kept(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    store, recipes = ResponseStore(tmp_path), [recipe(remote(endpoint))]
    answering.answer(wanted(["half", "fine"]), recipes, store, ENGINE, 0)
    rows = store.read(recipes[0].shelf).to_pylist()
    assert {r["response"] for r in rows} == {"a\ufffdb", "echo fine"}
    answering.answer(wanted(["halfway"]), recipes, store, ENGINE, 0)  # in the refusal's words
    (row,) = [r for r in store.read(recipes[0].shelf).to_pylist() if r["error"]]
    assert "no\ufffd" in row["error"]


def test_the_request_holds_the_teachers_settings_and_the_key(endpoint: Endpoint) -> None:
    sampling = SamplingSettings(temperature=0.5, top_p=0.9, max_new_tokens=17)
    ask(remote(endpoint), ["fine"], sampling)
    (body,) = endpoint.bodies
    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "fine"},
        ],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 17,
        "seed": 5,
    }
    assert endpoint.keys == {f"Bearer {KEY}"}
    model = remote(endpoint, max_tokens_parameter="max_completion_tokens", send_seed=False)
    ask(model, ["more"], SamplingSettings(top_k=3))
    body = endpoint.bodies[-1]
    assert body["top_k"] == 3 and body["max_completion_tokens"] == 512
    assert not {"seed", "max_tokens", "repetition_penalty"} & set(body)


@pytest.mark.parametrize(
    "prompt",
    ["a<|im_end|>b", "x [/INST] y", "<</SYS>>", "</s>", "<start_of_turn>model", "<|eot_id|>",
     "<\uff5cUser\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "[|endofturn|]",
     "[SYSTEM_PROMPT]", "[/TOOL_RESULTS]", "[gMASK]<sop>", "<end_of_utterance>"],
)  # fmt: skip
def test_a_template_marker_is_set_aside_unless_let_through(endpoint: Endpoint, prompt: str) -> None:
    (answer,) = ask(remote(endpoint), [prompt]).values()
    assert "marker" in str(answer.error) and not endpoint.bodies
    (answer,) = ask(remote(endpoint, allow_template_markers=True), [prompt]).values()
    assert answer.error is None


@pytest.mark.parametrize(
    "prompt", ["a < b | c > d", "<b>bold</b>", "[INST", "if x<|y", "[a|b]", "[|x|", "[TOOLS]"]
)
def test_ordinary_text_is_no_marker(endpoint: Endpoint, prompt: str) -> None:
    (answer,) = ask(remote(endpoint), [prompt]).values()
    assert answer.error is None


def test_no_more_than_the_limit_are_under_way(endpoint: Endpoint) -> None:
    answers = ask(remote(endpoint, max_concurrency=3), [f"p{i}" for i in range(20)])
    assert len(answers) == 20
    assert 2 <= endpoint.most_at_once <= 3


def test_the_limit_halves_on_refusal_and_rises_again() -> None:
    now = [0.0]
    limit = AdaptiveLimit(8, clock=lambda: now[0])
    limit.refused(5.0)
    assert limit.limit == 4
    taken = threading.Event()
    waiting = threading.Thread(
        target=lambda: limit.acquire(threading.Event()) and taken.set(), daemon=True
    )
    waiting.start()
    assert not taken.wait(0.2)  # the server asked for 5 seconds
    now[0] = 5.1
    assert taken.wait(2)
    for _ in range(4 + 5 + 6 + 7 + 100):
        limit.succeeded()
    assert limit.limit == 8
    for _ in range(9):
        limit.refused(0)
    assert limit.limit == 1


def recipe(model: ResolvedModel, teacher: str = "t", **more: object) -> Recipe:
    return Recipe(teacher, model, None, SamplingSettings(max_new_tokens=10), **more)  # type: ignore[arg-type]


def wanted(prompts: list[str], teacher: str = "t") -> dict[str, list[tuple[str, str]]]:
    return {teacher: [(f"id {p}", p) for p in prompts]}


def test_failed_rows_alone_are_asked_again(endpoint: Endpoint, tmp_path: Path) -> None:
    store, recipes = ResponseStore(tmp_path), [recipe(remote(endpoint, max_tries=1))]
    prompts = ["fine", "500 once", "also fine"]
    _, calls = answering.answer(wanted(prompts), recipes, store, ENGINE, 0)
    assert calls.to_pylist()[0]["errors"] == 1
    responses, calls = answering.answer(wanted(prompts), recipes, store, ENGINE, 0)
    assert calls.to_pylist()[0]["calls"] == 1
    assert responses["error"].to_pylist() == [None, None, None]
    assert set(responses["engine"].to_pylist()) == {"openai"}
    assert responses["weights_id"][0].as_py() == f"endpoint:{endpoint.url}#m"


def test_prompts_set_aside_are_counted_and_are_no_failures_of_the_teacher(
    endpoint: Endpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prompts = [f"say {i} <|im_end|>" for i in range(30)] + ["fine"]
    with caplog.at_level("WARNING"):
        responses, calls = answering.answer(
            wanted(prompts), [recipe(remote(endpoint))], ResponseStore(tmp_path), ENGINE, 0
        )
    assert len(endpoint.bodies) == 1
    assert (calls.to_pylist()[0]["errors"], calls.to_pylist()[0]["calls"]) == (30, 1)
    assert "30 of 31 have no response: 30 x set aside: the prompt holds a chat" in caplog.text
    assert unsettled_rows(responses.schema) == 0  # asking again would change nothing
    store = ResponseStore(tmp_path)
    _, calls = answering.answer(wanted(prompts), [recipe(remote(endpoint))], store, ENGINE, 0)
    assert calls.to_pylist()[0]["calls"] == 0
    through = recipe(remote(endpoint, allow_template_markers=True))
    responses, _ = answering.answer(wanted(prompts), [through], store, ENGINE, 0)
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
        "dead": [(f"d{i}", f"404 {i}") for i in range(40)],
        "alive": [(f"a{i}", f"fine {i}") for i in range(5)],
    }
    with pytest.raises(PersynError, match=r"openai hosted failed on \d+ of \d+ .*HTTP 404.*kept"):
        answering.answer(asked, [dead, alive], store, ENGINE, 0)
    assert sum(endpoint.tries[f"404 {i}"] for i in range(40)) <= 16
    responses, calls = answering.answer(asked, [dead, alive], store, ENGINE, 0, go_on=True)
    rows = responses.to_pylist()
    assert all(row["error"] for row in rows if row["teacher"] == "dead")
    assert [row["response"] for row in rows if row["teacher"] == "alive"] == [
        f"echo fine {i}" for i in range(5)
    ]
    assert calls.to_pylist()[1]["calls"] == 0  # answered the first time, after the other's end


def test_an_answer_without_its_usage_is_kept(endpoint: Endpoint, tmp_path: Path) -> None:
    store, recipes = ResponseStore(tmp_path), [recipe(remote(endpoint))]
    responses, _ = answering.answer(wanted(["unmetered"]), recipes, store, ENGINE, 0)
    assert responses.to_pylist()[0]["response"] == "echo unmetered"
    assert len(store.read(recipes[0].shelf)) == 1


def test_answers_under_way_are_kept_when_a_teacher_is_stopped(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    store, model = ResponseStore(tmp_path), remote(endpoint, max_tries=1, max_concurrency=16)
    bad, slow = [f"404 {i}" for i in range(10)], [f"slow {i}" for i in range(6)]
    with pytest.raises(PersynError, match=r"failed on \d+ of \d+ prompts"):
        answering.answer(wanted([*slow, *bad]), [recipe(model)], store, ENGINE, 0)
    rows = store.read(recipe(model).shelf).to_pylist()
    assert {r["response"] for r in rows if r["error"] is None} == {f"echo {p}" for p in slow}


def test_what_may_have_been_charged_counts_against_the_budget(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    # A try is at worst 6 + 64 + 10 tokens ("hang 0", template, max_new_tokens); 3 tries 240.
    budget = Budget(max_tokens=300)
    for prompts in ([f"hang {i}" for i in range(5)], [f"unmetered {i}" for i in range(20)]):
        model = remote(endpoint, max_concurrency=1, timeout_seconds=0.2)
        before = len(endpoint.bodies)
        with pytest.raises(PersynError, match="max_tokens = 300"):
            answering.answer(
                wanted(prompts), [recipe(model, budget=budget)], ResponseStore(tmp_path), ENGINE, 0
            )
        assert len(endpoint.bodies) - before <= 9  # not 15, and not 20


def test_the_ledger_tells_what_a_step_took() -> None:
    far = ModelSettings(endpoint={"url": "http://h/v1", "model": "b"})  # type: ignore[arg-type]
    ledger, t = Ledger(), recipe(resolve_model("b", far), price=2e6)
    for key, error in (("k", None), ("l", "HTTP 404")):
        ledger.reserve(t, key, "p", Budget())
        ledger.settle(t, key, Generation(key, "", "stop", 3, 4, error))
    ledger.time(1.5, {"t": 8})
    assert ledger.take_counts() == [
        {
            "teacher": "t", "calls": 2, "prompt_tokens": 6, "completion_tokens": 8, "cost": 16.0,
            "failures": 1, "tries_of_unknown_cost": 0, "seconds": 1.5,
        }
    ]  # fmt: skip
    assert ledger.take_counts() == []


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
    with pytest.raises(PersynError, match=f"could pass .* of {whose}"):
        answering.answer(wanted(prompts), recipes, store, engine, 0, ledger)
    tokens, cost = ledger.spent()
    made = len(endpoint.bodies)
    assert 8 <= made < 40  # 16 tokens each, and at worst 77 for the one or two under way
    assert tokens == 16 * made <= 300
    assert cost == pytest.approx(16e-6 * made) and cost <= 3e-4
    _, calls = answering.answer(wanted(prompts[:made]), recipes, store, engine, 0, ledger)
    assert calls.to_pylist()[0]["calls"] == 0  # nothing is paid for twice


def test_a_missing_key_is_named_before_anything_is_asked(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_KEY")
    with pytest.raises(PersynError, match="variable TEST_KEY, which is not set"):
        check_source("hosted", remote(endpoint).settings)


@pytest.mark.parametrize("url", ["ftp://x/v1", "http://user:pass@host/v1", "host/v1"])
def test_a_url_that_is_none_or_holds_a_password_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        ModelSettings(endpoint={"url": url, "model": "m"})  # type: ignore[arg-type]
