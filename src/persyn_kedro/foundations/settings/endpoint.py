"""Typed settings of a model on a server."""

import json
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, field_validator

from persyn_kedro.foundations.hashing import is_unicode
from persyn_kedro.foundations.secrets import without_credentials
from persyn_kedro.foundations.settings.base import IF_SET, NO_EFFECT, Group

Batch = Literal["openai", "anthropic"]
_SAMPLING = "the teacher's sampling"
OURS = {  # set by other settings, or changing the form of the reply
    "model": "endpoint.model",
    "messages": "the prompt and the teacher's system",
    "temperature": _SAMPLING,
    "top_p": _SAMPLING,
    "top_k": _SAMPLING,
    "repetition_penalty": _SAMPLING,
    "seed": _SAMPLING,
    "max_tokens": f"{_SAMPLING} (max_new_tokens)",
    "max_completion_tokens": f"{_SAMPLING} (max_new_tokens)",
    "chat_template_kwargs": "the model's template_arguments",
    "n": "this project (one answer per call)",
    "stream": "this project (no streaming)",
    "stream_options": "this project (no streaming)",
}


class EndpointSettings(Group):
    """A model on an OpenAI-compatible server. Keys and extra headers come from the environment."""

    url: str = Field(pattern=r"^https?://[^@\s]+$", description="usually ends in /v1; no password")
    model: str = Field(description="the model's name on the server")
    api_key_env: Annotated[str | None, NO_EFFECT] = Field(
        None, description="the environment variable with the API key, if any"
    )
    max_concurrency: Annotated[int, NO_EFFECT] = Field(
        8, ge=1, description="requests in parallel; falls after a 429, then rises again"
    )
    timeout_seconds: Annotated[float, NO_EFFECT] = Field(120.0, gt=0, description="per request")
    max_tries: Annotated[int, NO_EFFECT] = Field(
        6, ge=1, description="attempts per call, including the first"
    )
    backoff_seconds: Annotated[float, NO_EFFECT] = Field(
        1.0, gt=0, description="between attempts; doubles each time, with jitter"
    )
    max_retry_after_seconds: Annotated[float, NO_EFFECT] = Field(
        300.0, ge=0, description="a server that asks for a longer wait stops its model"
    )
    unknown_finish_reason: Literal["stop", "length"] = Field(
        "length", description="how an unknown finish reason is treated"
    )
    max_tokens_parameter: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="the server's name for the limit on an answer's tokens"
    )
    extra_body: Annotated[dict[str, JsonValue], IF_SET] = Field(
        {}, description="added to each request, such as reasoning_effort: low"
    )
    extra_headers: Annotated[dict[str, str], NO_EFFECT] = Field(
        {}, description="the environment variable with each header's value"
    )
    allow_template_markers: bool = Field(
        False, description="send prompts that contain <|im_end|>, [/INST] and the like"
    )
    batch: Annotated[Batch | None, NO_EFFECT] = Field(
        None, description="send requests as jobs of this service's batch API"
    )
    batch_poll_seconds: Annotated[float | None, NO_EFFECT] = Field(
        None, gt=0, description="wait for the jobs, looking this often; none: the run ends"
    )
    batch_price_factor: Annotated[float, NO_EFFECT] = Field(
        0.5, ge=0, le=1, description="what a batch call costs, as a share of the teacher's prices"
    )

    @field_validator("url")
    @classmethod
    def _has_a_host(cls, url: str) -> str:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0:  # .port raises ValueError for an invalid port
            raise ValueError("the URL has no host")
        if without_credentials(url) != url:
            raise ValueError("a key or token is set by api_key_env or extra_headers, not here")
        return url

    @field_validator("extra_body")
    @classmethod
    def _not_ours(cls, body: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name in body:
            if name in OURS:
                raise ValueError(f"{name} is already set by {OURS[name]}")
        if not is_unicode(json.dumps(body, ensure_ascii=False, allow_nan=False)):
            raise ValueError("contains invalid Unicode (a lone surrogate)")
        return body

    @field_validator("extra_headers")
    @classmethod
    def _named_variables(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, variable in headers.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
                raise ValueError(f"{name!r} cannot be a header's name")
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):  # not shown: may be secret
                raise ValueError(f"{name} must name an environment variable, not hold the value")
        return headers

    def __hash__(self) -> int:
        return hash(self.model_dump_json())  # extra_body is not hashable

    @property
    def price_factor(self) -> float:
        """What a call costs, as a share of the teacher's prices."""
        return self.batch_price_factor if self.batch else 1.0

    @property
    def variables(self) -> list[str]:
        """The environment variables with the key and the headers' values."""
        return [*([self.api_key_env] if self.api_key_env else []), *self.extra_headers.values()]
