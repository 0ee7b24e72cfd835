"""What a reply with status 200 means that is no answer: an error, a web page, a broken text."""

import json
from typing import Any

import pytest

from persyn_kedro.domain.engines.replies.completions import Answer
from tests.support.endpoint import completion
from tests.support.replies import error, read, refused


def chosen(**choice: Any) -> dict[str, Any]:
    return {"choices": [choice], "usage": {"prompt_tokens": 0, "completion_tokens": 0}}


DIED = error("Upstream died", code=502)


@pytest.mark.parametrize(
    ("body", "again", "words"),
    [
        (error("Provider is down", code=502), True, "HTTP 502: Provider is down"),
        (error("Slow down", code="429"), True, "HTTP 429: Slow down"),
        (error("Prompt flagged", code=403), False, "HTTP 403: Prompt flagged"),
        (error("bad", code=400, metadata={"raw": "upstream: no"}), False, "bad; upstream: no"),
        (error("who knows"), True, "HTTP 200: who knows"),
        ({"error": "overloaded"}, True, "HTTP 200: overloaded"),
        ({"error": {"code": 503}, "choices": []}, True, "503"),
        ({"detail": "starting"}, True, "starting"),
        ({"object": "error", "message": "over", "code": 50001}, True, "over"),
        ({"error": {"message": "odd", "type": "invalid_request_error"}}, False, "HTTP 400: odd"),
        ({"choices": None, "message": "busy"}, True, "HTTP 200: busy"),
        ({"errors": [{"code": 429, "message": "Slow down"}]}, True, "HTTP 429: Slow down"),
        ({"base_resp": {"status_code": 1002, "status_msg": "busy"}, "choices": None}, True, "busy"),
        ({**chosen(message={"content": None}, finish_reason="stop"), **DIED}, True, "died"),
        ({**chosen(message={"content": ""}, finish_reason="error"), **DIED}, True, "died"),
        (chosen(**DIED), True, "HTTP 502: Upstream died"),
        (chosen(error="Upstream died"), True, "HTTP 200: Upstream died"),
        (chosen(**error("Prompt flagged", code=403)), False, "HTTP 403: Prompt flagged"),
        (chosen(message={"content": ""}, finish_reason="error", **DIED), True, "Upstream died"),
        (chosen(message={"content": None}, finish_reason=None, **DIED), True, "Upstream died"),
        (chosen(text="", finish_reason="error", **DIED), True, "Upstream died"),
    ],
)
def test_an_error_in_a_200_is_told_and_was_not_charged(body: Any, again: bool, words: str) -> None:
    reply = refused(200, body)
    assert (reply.again, reply.charged, reply.remedy) == (again, False, None)
    assert words in reply.words


@pytest.mark.parametrize("status", [200, 502])
def test_a_web_page_is_told_by_its_title(status: int) -> None:
    page = "<!DOCTYPE html><html><head><title>Log\n in</title></head><body>x</body></html>"
    reply = refused(status, page)
    assert reply.again and not reply.charged and reply.words.endswith(": Log in")
    assert (reply.remedy is not None) == (status == 200)


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"message": {"content": "Half an"}, "finish_reason": "error"}, "Upstream died"),
        ({"message": {"content": "Half an"}, "finish_reason": None}, "Upstream died"),
        ({"message": {"content": ""}, "finish_reason": "content_filter"}, "content_filter"),
    ],
)
def test_an_error_beside_text_or_of_a_filter_is_a_row_that_is_not_asked_for_again(
    choice: dict[str, Any], told: str
) -> None:
    reply = read(200, chosen(**choice, **DIED))
    assert isinstance(reply, Answer)
    assert (reply.text, reply.finish_reason) == ("", "error") and told in str(reply.error)


def test_a_refused_key_in_a_200_stops_the_teacher() -> None:
    for body in (
        {"code": 401, "msg": "invalid key"},
        {"errors": [{"code": 401, "message": "invalid key"}], "success": False},
    ):
        reply = refused(200, body)
        assert reply.words == "HTTP 401: invalid key" and "key" in str(reply.remedy)
        assert not (reply.again or reply.charged)


def test_an_error_beside_a_text_leaves_the_text() -> None:
    reply = read(200, {**completion("p"), **DIED})
    assert isinstance(reply, Answer) and (reply.text, reply.error) == ("echo p", None)


def test_an_empty_account_in_a_200_is_not_told_as_a_failing_server() -> None:
    reply = refused(200, error("Your credit balance is too low"))
    assert reply.words == "HTTP 200: Your credit balance is too low"


def test_a_byte_order_mark_hides_nothing() -> None:
    page = refused(200, "\ufeff<html><title>Log in</title></html>")
    assert page.words == "a web page instead of an answer: Log in" and not page.charged
    reply = read(200, "\ufeff" + json.dumps(completion("p")))
    assert isinstance(reply, Answer) and reply.text == "echo p"


@pytest.mark.parametrize("text", ['{"choices": [', "", "[" * 100_000, '{"choices": []}', "7", "[]"])
def test_what_is_no_completion_may_have_been_charged(text: str) -> None:
    reply = refused(200, text)
    assert reply.again and reply.charged
