"""Read a server's reply: an answer, or a refusal that says how to proceed."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from persyn_kedro.domain.engines.replies.completions import Answer, answer_of, failed_part
from persyn_kedro.domain.engines.replies.refusals import Refusal, refusal_of, too_long, web_page
from persyn_kedro.domain.engines.replies.retry_after import wait_of, when
from persyn_kedro.domain.engines.replies.server_words import ERRORS, words_of
from persyn_kedro.foundations.settings.endpoint import EndpointSettings


def read_reply(
    status: int,
    headers: Mapping[str, str],
    text: str,
    most: int,
    endpoint: EndpointSettings,
    now: datetime | None = None,
) -> Answer | Refusal:
    """Return what a reply to a chat completion request means.

    Args:
        headers: with lower-case names, unless its lookup ignores case.
        most: the token limit of the answer.
    """
    text = text.lstrip("\ufeff \t\r\n")  # a byte order mark is not JSON
    body, is_json = _json(text)
    own = body if isinstance(body, dict) else {}
    failed = failed_part(own) if status < 300 else None
    if status < 300 and not failed:
        answer = answer_of(own, most, endpoint.unknown_finish_reason)
        if answer is not None:  # nearly always: nothing else is looked at
            return answer
    now = now or datetime.now(UTC)
    wait = wait_of(headers, now)
    words = words_of((failed or body) if is_json else None, text, wait is not None)
    if status >= 300:
        return _with_wait(refusal_of(status, words, endpoint.extra_body), wait, endpoint, now)
    if not is_json:
        if text.startswith("<"):
            return web_page(words)
        return Refusal("the endpoint's answer is not JSON", again=True, charged=True)
    if failed or any(own.get(name) for name in ERRORS):
        return _with_wait(refusal_of(words.status, words, endpoint.extra_body), wait, endpoint, now)
    return Refusal("the endpoint's answer has no choices", again=True, charged=True)


def _json(text: str) -> tuple[Any, bool]:
    try:
        return json.loads(text), True
    except (ValueError, RecursionError):
        return None, False


def _with_wait(
    refusal: Refusal, wait: float | None, endpoint: EndpointSettings, now: datetime
) -> Refusal:
    if not refusal.again or wait is None:
        return refusal
    refusal = replace(refusal, wait=wait)
    if wait > endpoint.max_retry_after_seconds:
        return too_long(refusal, when(wait, now))
    return refusal
