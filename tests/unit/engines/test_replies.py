"""What servers' refusals mean, as data: most are what a server is known to send."""

from typing import Any

import pytest

from persyn_kedro.domain.engines.replies.refusals import Refusal
from tests.support.replies import error, read, refused

EMPTY = [
    (429, error("You exceeded your current quota, please check your plan and billing details.",
                type="insufficient_quota", code="insufficient_quota")),
    (429, error("Your quota has been exhausted.")),
    (429, error("Account balance is too low")),
    (400, error("Your credit balance is too low to access the API.", type="invalid_request_error")),
    (400, error("Billing hard limit has been reached", code="billing_hard_limit_reached")),
    (402, error("Insufficient Balance")),
    (402, ""),
    (403, {"code": "Arrearage", "message": "Access denied, account overdue."}),
    (200, error("Insufficient credits", code=402)),
    (200, error("Your credit balance is too low")),
    (200, {"choices": None, "message": "insufficient balance"}),
    (200, {"choices": [{"message": {"content": None}, "finish_reason": "stop"}],
           **error("No credits", code=402)}),
    (200, {"base_resp": {"status_msg": "insufficient balance"}, "choices": None}),
    (200, {"choices": [error("Insufficient credits", code=500)]}),
    (500, error("no", code="insufficient_quota")),
    (503, error("Your credit balance is too low")),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body"), EMPTY)
def test_an_empty_account_stops_the_teacher(status: int, body: Any) -> None:
    reply = refused(status, body)
    assert not reply.again and not reply.unless_answered and "credit" in str(reply.remedy)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (error("Rate limit reached for model m. Please try again in 7.66s. Need more? Upgrade at "
               "https://example.com/settings/billing"), {}),
        (error("You exceeded your current quota, please check your plan and billing details. "
               "Please retry in 12.3s.", status="RESOURCE_EXHAUSTED"), {}),
        (error("You exceeded your current quota"), {"retry-after": "20"}),
        (error("Too many requests"), {}),
        ("", {}),
    ],
)  # fmt: skip
def test_too_many_calls_for_now_are_made_again(body: Any, headers: dict[str, str]) -> None:
    reply = refused(429, body, headers)
    assert reply.again and reply.remedy is None
    assert reply.wait == float(headers.get("retry-after", 1))


@pytest.mark.parametrize("words", [error("no", code="insufficient_quota"), error("No credits")])
def test_a_failing_server_that_says_when_to_come_back_is_asked_again(words: Any) -> None:
    reply = refused(503, words, {"retry-after": "20"})
    assert reply.again and reply.remedy is None and reply.wait == 20


@pytest.mark.parametrize(
    ("status", "body", "remedy"),
    [
        (401, error("Incorrect API key provided"), "the key"),
        (401, "<html>Unauthorized</html>", "the key"),
        (400, [error("API key not valid. Please pass a valid API key.")], "the key"),
        (200, error("No auth", code=401), "the key"),
        (403, error("Country not supported"), "permissions of the key"),
        (404, error("The model `m` does not exist", code="model_not_found"), "endpoint.model"),
        (404, {"detail": "Not Found"}, "endpoint.url"),
        (405, {"detail": "Method Not Allowed"}, "endpoint.url"),
        (400, error("m is not a valid model ID", code=400), "endpoint.model"),
        (400, error("The model `m` has been decommissioned"), "endpoint.model"),
        (400, error("Unknown thing", param="model"), "endpoint.model"),
    ],
)
def test_a_refused_key_or_model_stops_the_teacher(status: int, body: Any, remedy: str) -> None:
    reply = refused(status, body)
    assert not reply.again and remedy in str(reply.remedy)


SAMPLING = "teachers.{teacher}.sampling."
PARAMETERS = [
    (400, error("Unsupported value: 'temperature' does not support 0 with this model. Only the "
                "default (1) value is supported.", param="temperature"), f"{SAMPLING}temperature"),
    (422, {"error": "Input validation error: `temperature` must be strictly positive"},
     f"{SAMPLING}temperature"),
    (400, error("top_p must be in (0, 1], got 2.0."), f"{SAMPLING}top_p"),
    (400, error("Unrecognized request argument supplied: top_k"), f"{SAMPLING}top_k"),
    (400, error("property 'repetition_penalty' is unsupported"), f"{SAMPLING}repetition_penalty"),
    (422, {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]},
     f"{SAMPLING}seed: null"),
    (422, {"object": "error", "message": {"detail": [
        {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs"}]}},
     f"{SAMPLING}seed: null"),
    (400, error("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.", param="max_tokens"),
     "max_tokens_parameter: max_completion_tokens"),
    (400, error("Unrecognized request argument supplied: max_completion_tokens"),
     "max_tokens_parameter: max_tokens"),
    (400, error("max_tokens is too large: 100000. This model supports at most 16384 completion "
                "tokens, whereas you provided 100000.", param="max_tokens"),
     f"{SAMPLING}max_new_tokens"),
    (400, error("max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens"),
     f"{SAMPLING}max_new_tokens"),
    (400, error("`max_tokens` must be less than or equal to `8192`, the maximum value for "
                "`max_tokens` is less than the `context_window` for this model"),
     f"{SAMPLING}max_new_tokens"),
    *((400, error(said), f"{SAMPLING}seed: null") for said in (
        "seed is not a supported parameter", "Seed is not an accepted argument",
        "Unrecognized request argument supplied: seed", "This model does not support seed",
        "The seed parameter is not supported", "Error: unsupported parameter seed.",
        "1 validation error for Request\nseed\n  Extra inputs are not permitted")),
    *((400, error(said), f"{SAMPLING}temperature") for said in (
        "temperature must be non-negative, got -1.0.", "Invalid temperature: only 1 is allowed",
        "Value error, temperature is out of range", "only temperature=1 is supported",
        "temperature 3 is too high", "invalid value for temperature")),
    *((400, error(said), f"{SAMPLING}top_p: null") for said in (
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        "Unsupported parameter: 'top_p' is not supported with this model.")),
    (400, error("litellm.UnsupportedParamsError: anthropic does not support parameters: ['seed'], "
                "for model=claude. To drop these, set `litellm.drop_params=True`", param="None"),
     f"{SAMPLING}seed: null"),
    (400, [error('Invalid JSON payload received. Unknown name "seed": Cannot find field.',
                 status="INVALID_ARGUMENT")], f"{SAMPLING}seed: null"),
    (400, error("chat_template_kwargs: extra fields not permitted"), "template_arguments"),
    (400, error("System role not supported"), "teachers.{teacher}.system"),
    (400, error("Unsupported value: 'messages[0].role' does not support 'system' with this model.",
                param="messages[0].role"), "teachers.{teacher}.system"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "remedy"), PARAMETERS)
def test_a_refused_parameter_names_its_setting(status: int, body: Any, remedy: str) -> None:
    reply = refused(status, body)
    assert not reply.again and reply.unless_answered and remedy in str(reply.remedy)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (error("Unsupported value", param="reasoning_effort"), "reasoning_effort"),
        (error("Unrecognized request argument supplied: prompt_cache_key",
               param="prompt_cache_key"), "prompt_cache_key"),
        (error("Unrecognized request argument supplied: reasoning_effort"), "reasoning_effort"),
        (error("Unknown name 'provider'"), "provider"),
        (error("No provider of this kind is supported"), None),
        (error("temperature is not supported with 'provider'", param="temperature"), None),
    ],
)  # fmt: skip
def test_a_refused_name_in_the_extra_body_is_named(body: Any, name: str | None) -> None:
    extra = {"provider": {}, "reasoning_effort": "low", "prompt_cache_key": "a"}
    reply = read(400, body, extra_body=extra)
    assert isinstance(reply, Refusal)
    named = f"change or remove {name} in models.{{model}}.endpoint.extra_body"
    assert (reply.remedy == named) == (name is not None)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, error("This model's maximum context length is 512 tokens. However, you requested 12 "
                    "output tokens and your prompt contains 2007 input tokens.")),
        (400, error("'max_tokens' or 'max_completion_tokens' is too large: 512. This model's "
                    "maximum context length is 512 tokens and your request has 30 input tokens")),
        (400, error("Too long", code="context_length_exceeded", param="messages")),
        (400, error("the request exceeds the available context size",
                    type="exceed_context_size_error")),
        (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= "
                        "4096. Given: 5000 `inputs` tokens and 512 `max_new_tokens`"}),
        (400, error("The response was filtered due to the prompt triggering our content management "
                    "policy.", code="content_filter", param="prompt")),
        (400, error("Invalid 'messages[1].content': string too long", param="messages[1].content")),
        (400, error("Output data may contain inappropriate content.",
                    code="data_inspection_failed")),
        (403, error("m requires moderation. Your input was flagged", code=403)),
        (413, "<html><title>413 Request Entity Too Large</title></html>"),
        (400, error("I cannot read this")),
        (400, error("The prompt must not mention the seed of a plant")),
        (400, error("The prompt must not mention a seed. Too high a temperature of the soil")),
        (400, ""),
        (451, "")
    ],
)  # fmt: skip
def test_a_refused_prompt_is_a_row_and_the_others_go_on(status: int, body: Any) -> None:
    reply = refused(status, body)
    assert not reply.again and reply.remedy is None and not reply.charged
    assert reply.words.startswith(f"HTTP {status}: ")


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, 1.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Sat, 28 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 28 Nov 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": "Fri, 27 Nov 2026 12:00:00 GMT"}, 0.0),
        ({"retry-after": "nan"}, 1.0),
        ({"retry-after": "inf"}, 1.0),
        ({"retry-after": "Sat, 99 Nov 2026"}, 1.0),
        ({"retry-after": "soon"}, 1.0),
        ({"retry-after": "300"}, 300.0),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], wait: float) -> None:
    reply = refused(429, "", headers)
    assert reply.again and reply.wait == pytest.approx(wait)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("7500", "in 2:05:00 h (at 2026-11-28 14:05 UTC)"),
        ("Sun, 29 Nov 2026 13:00:00 GMT", "in 1 day, 1:00:00 h (at 2026-11-29 13:00 UTC)"),
        ("1e300", "asks to retry in "),
    ],
)
def test_a_longer_wait_than_the_settings_have_stops_the_teacher(asked: str, told: str) -> None:
    for status, body in ((429, ""), (503, ""), (200, error("busy", code=503))):
        reply = refused(status, body, {"retry-after": asked})
        assert not reply.again and told in reply.words
        assert "max_retry_after_seconds" in str(reply.remedy)
    longer = read(429, "", {"retry-after": "7500"}, max_retry_after_seconds=8000)
    assert isinstance(longer, Refusal) and longer.again and longer.wait == 7500


def test_any_json_in_any_place_is_read() -> None:
    odd: list[Any] = [None, 0, -1.5, True, "", "x", [], [None], {}, {"message": None}, {"a": [1]}]
    for value in odd:
        for status in (200, 304, 400, 429, 500):
            read(status, value)
            for name in ("error", "detail", "message", "choices", "usage", "code"):
                read(status, {name: value})
                read(status, error("no") | {name: value})
        for part in odd:
            read(200, {"choices": [value, part], "usage": part})
            read(200, {"choices": [{"message": value, "finish_reason": part, "error": value}]})
            message = {"content": part, "tool_calls": value, "refusal": value, "reasoning": part}
            read(200, {"choices": [{"message": message, "finish_reason": value}]})
            read(400, {"error": {"message": part, "code": value, "param": part, "type": value}})
            read(422, {"detail": [{"loc": value, "msg": part}, part]})
