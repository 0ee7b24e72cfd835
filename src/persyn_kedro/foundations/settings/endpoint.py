"""Typed settings of a model on a server."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from persyn_kedro.foundations.settings.base import NO_EFFECT, Group


class EndpointSettings(Group):
    """A model on an OpenAI-compatible server. The API key comes only from the environment."""

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
    send_seed: bool = Field(True, description="set to false if the server rejects a seed")
    allow_template_markers: bool = Field(
        False, description="send prompts that contain <|im_end|>, [/INST] and the like"
    )

    @field_validator("url")
    @classmethod
    def _has_a_host(cls, url: str) -> str:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0:  # .port raises ValueError for an invalid port
            raise ValueError("the URL has no host")
        return url
