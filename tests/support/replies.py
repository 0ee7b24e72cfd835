"""What is read out of a server's reply."""

import json
from datetime import UTC, datetime
from typing import Any

from persyn_kedro.domain.engines.replies.completions import Answer
from persyn_kedro.domain.engines.replies.refusals import Refusal
from persyn_kedro.domain.engines.replies.reply import read_reply
from persyn_kedro.foundations.settings.endpoint import EndpointSettings

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def read(
    status: int, body: Any, headers: dict[str, str] | None = None, **settings: Any
) -> Answer | Refusal:
    endpoint = EndpointSettings(url="http://h/v1", model="m", **settings)
    text = body if isinstance(body, str) else json.dumps(body)
    return read_reply(status, headers or {}, text, 512, endpoint, NOW)


def refused(status: int, body: Any, headers: dict[str, str] | None = None) -> Refusal:
    reply = read(status, body, headers)
    assert isinstance(reply, Refusal)
    return reply


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}
