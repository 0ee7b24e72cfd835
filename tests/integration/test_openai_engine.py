"""Asking over the network: what is retried, what is final, and how fast one may ask."""

import asyncio
import json
import socket
import threading
import time
from contextlib import ExitStack

import pytest

from persyn_kedro.domain.engines import engine_of
from persyn_kedro.domain.engines.base import Generation, Request
from persyn_kedro.domain.engines.concurrency import AdaptiveLimit
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import ResolvedModel, check_source
from persyn_kedro.foundations.prompts.conversation import Message, as_prompt
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from tests.support.endpoint import Endpoint, replying
from tests.support.hosted_teachers import KEY, remote

ENGINE = EngineSettings()


def ask(
    model: ResolvedModel, prompts: list[str], sampling: SamplingSettings | None = None
) -> dict[str, Generation]:
    sampling = sampling or SamplingSettings()
    requests = [Request(p, p, "Be kind.", sampling, seed=5) for p in prompts]
    return {g.key: g for g in engine_of(model, ENGINE).generate(requests)}


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
        ("413", 1, "HTTP 413"),
        ("451", 1, "HTTP 451"),
        ("500", 3, "HTTP 500"),
        ("429", 3, "HTTP 429"),
        ("hang", 3, "no answer within 0.7 s"),
        ("malformed", 3, "not JSON"),
        ("empty", 3, "no choices"),
        ("content_filter", 1, "finish reason content_filter"),
        ("picture", 1, "not text"),
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


def test_a_server_that_is_down_has_charged_nothing(endpoint: Endpoint) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        endpoint.url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        answer = ask(remote(endpoint, max_tries=2), ["p"])["p"]
    assert answer.error == "Connection error." and answer.unknown == 0


def test_a_server_that_takes_no_connection_has_charged_nothing(endpoint: Endpoint) -> None:
    with ExitStack() as held:
        full = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1))
        for _ in range(4):  # more than may wait to be accepted, which nobody is
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        endpoint.url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        answer = ask(remote(endpoint, max_tries=2, timeout_seconds=0.3), ["p"])["p"]
    assert answer.error == "no answer within 0.3 s" and answer.unknown == 0


@pytest.mark.parametrize("fault", ["hang", "reset"])
def test_a_server_that_had_the_request_may_have_charged(endpoint: Endpoint, fault: str) -> None:
    assert ask(remote(endpoint, max_tries=2), [fault])[fault].unknown == 2


def test_a_cut_off_answer_is_marked_and_thinking_is_put_back(endpoint: Endpoint) -> None:
    answers = ask(remote(endpoint), ["length", "thinking"])
    assert answers["length"].finish_reason == "length" and answers["length"].response
    assert answers["thinking"].response == "<think>It is 7.</think>\n7"


def test_a_server_that_asks_for_milliseconds_is_waited_for_so_long(endpoint: Endpoint) -> None:
    told = {"status": 429, "body": {}, "headers": {"retry-after-ms": "300", "retry-after": "60"}}
    prompt = f"reply {json.dumps(told)}"
    begun = time.monotonic()
    answer = ask(remote(endpoint, max_tries=2, max_concurrency=1), [prompt])[prompt]
    assert 0.3 <= time.monotonic() - begun < 30
    assert answer.error == "HTTP 429: no details given" and endpoint.tries[prompt] == 2


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
    model = remote(endpoint, max_tokens_parameter="max_completion_tokens")
    ask(model, ["more"], SamplingSettings(top_k=3, seed=None))
    body = endpoint.bodies[-1]
    assert body["top_k"] == 3 and body["max_completion_tokens"] == 512
    assert not {"seed", "max_tokens", "repetition_penalty"} & set(body)


def test_a_headers_value_is_sent_and_is_not_told_where_it_is_echoed(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = "tenant-Qx71ZpLm"
    monkeypatch.setenv("MY_TENANT", value)
    prompt = replying(400, {"error": {"message": f"{value} may not, with {KEY}"}})
    model = remote(endpoint, extra_headers={"X-Tenant": "MY_TENANT"}, extra_body={"tag": "a"})
    answers = ask(model, [prompt, "fine"])
    assert answers[prompt].error == "HTTP 400: *** may not, with ***"
    assert [body["tag"] for body in endpoint.bodies] == ["a", "a"]


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


def test_a_marker_in_a_system_message_that_is_not_sent_is_no_reason(endpoint: Endpoint) -> None:
    asked = as_prompt([Message("system", "End with </s>."), Message("user", "fine")])
    for order, sent in (("teacher", True), ("row", False), ("join", False)):
        request = Request(order, asked, "Be kind.", SamplingSettings(), 5, order)  # type: ignore[arg-type]
        (answer,) = engine_of(remote(endpoint), ENGINE).generate([request])
        assert (answer.error is None) == sent


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
    limit.refused(5.0, sent=0)
    assert limit.limit == 4
    taken = threading.Event()
    waiting = threading.Thread(
        target=lambda: asyncio.run(limit.acquire(threading.Event())) == 1 and taken.set(),
        daemon=True,
    )
    waiting.start()
    assert not taken.wait(0.2)  # the server asked for 5 seconds
    now[0] = 5.1
    assert taken.wait(2)
    for _ in range(4 + 5 + 6 + 7 + 100):
        limit.succeeded()
    assert limit.limit == 8
    for decreases in range(1, 10):
        limit.refused(0, sent=decreases)
    assert limit.limit == 1


def test_a_freed_slot_goes_to_one_that_waits_and_a_stop_lets_all_go() -> None:
    async def run() -> None:
        limit, stop = AdaptiveLimit(4), threading.Event()
        limit.refused(0, sent=0)  # 2
        tasks = [asyncio.create_task(limit.acquire(stop)) for _ in range(6)]
        for freed in range(3):
            await asyncio.sleep(0.01)
            assert [task.done() for task in tasks] == [True] * (2 + freed) + [False] * (4 - freed)
            limit.release()
        await asyncio.sleep(0.01)
        stop.set()
        limit.release()
        assert await asyncio.wait_for(asyncio.gather(*tasks), 5) == [1] * 5 + [None]

    asyncio.run(run())


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
