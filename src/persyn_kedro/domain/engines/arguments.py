"""What is sent to a hosted model: the request's body, key and headers."""

import json
import os
from typing import Any

from persyn_kedro.domain.engines.base import Request
from persyn_kedro.foundations.settings.endpoint import EndpointSettings
from persyn_kedro.foundations.settings.models import ModelSettings

# Not in OpenAI's own API, but in vLLM's and others': not sent if they have these values.
NO_CHANGE = {"top_k": 0, "repetition_penalty": 1.0}


def body_of(request: Request, model: ModelSettings) -> dict[str, Any]:
    """Return the body of a request, a JSON object. Null sampling settings are left out."""
    endpoint, sampling = model.endpoint, request.sampling
    assert endpoint is not None  # noqa: S101 - only called for hosted models
    known = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        endpoint.max_tokens_parameter: sampling.max_new_tokens,
        "seed": None if sampling.seed is None else request.seed % 2**31,
    }
    extra: dict[str, Any] = {
        name: value
        for name, no_change in NO_CHANGE.items()
        if (value := getattr(sampling, name)) not in (None, no_change)
    }
    if model.template_arguments:
        extra["chat_template_kwargs"] = model.template_arguments
    if request.reply_schema is not None:
        reply = {"name": "reply", "strict": True, "schema": json.loads(request.reply_schema)}
        extra["response_format"] = {"type": "json_schema", "json_schema": reply}
    return {
        "model": endpoint.model,
        "messages": request.messages,
        **{name: value for name, value in known.items() if value is not None},
        **extra,
        **endpoint.extra_body,
    }


def api_key(endpoint: EndpointSettings) -> str:
    """Return the key, or "" if there is none."""
    return _value(endpoint.api_key_env)


def extra_headers(endpoint: EndpointSettings) -> dict[str, str]:
    """Return the headers that the settings add, with their values."""
    return {name: _value(variable) for name, variable in endpoint.extra_headers.items()}


def secrets(endpoint: EndpointSettings) -> list[str]:
    """Return what must not be logged: the key and the headers' values."""
    return [_value(variable) for variable in endpoint.variables]


def _value(variable: str | None) -> str:
    return os.environ.get(variable or "", "").strip()
