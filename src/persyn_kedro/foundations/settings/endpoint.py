"""Typed settings of a model behind a server."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from persyn_kedro.foundations.settings.base import NO_EFFECT, Group


class EndpointSettings(Group):
    """An OpenAI-compatible server's model. The key comes from the environment alone."""

    url: str = Field(pattern=r"^https?://[^@\s]+$", description="ends in /v1, mostly; no password")
    model: str = Field(description="the model's name at the server")
    api_key_env: Annotated[str | None, NO_EFFECT] = Field(
        None, description="the variable that holds the key, if any"
    )
    max_concurrency: Annotated[int, NO_EFFECT] = Field(
        8, ge=1, description="falls after a 429 and rises again"
    )
    timeout_seconds: Annotated[float, NO_EFFECT] = Field(120.0, gt=0, description="of one request")
    max_tries: Annotated[int, NO_EFFECT] = Field(
        6, ge=1, description="of one call, the first among them"
    )
    backoff_seconds: Annotated[float, NO_EFFECT] = Field(
        1.0, gt=0, description="doubles from try to try, with jitter"
    )
    max_retry_after_seconds: Annotated[float, NO_EFFECT] = Field(
        300.0, ge=0, description="a server that asks to wait longer stops its model"
    )
    unknown_finish_reason: Literal["stop", "length"] = Field(
        "length", description="what a finish reason counts as that is not known"
    )
    max_tokens_parameter: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="what the server calls the most tokens of an answer"
    )
    send_seed: bool = Field(True, description="false where a server refuses a seed")
    allow_template_markers: bool = Field(
        False, description="ask prompts that hold <|im_end|>, [/INST] and the like"
    )

    @field_validator("url")
    @classmethod
    def _has_a_host(cls, url: str) -> str:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0:  # .port raises ValueError for what is no port
            raise ValueError("it has no host")
        return url
