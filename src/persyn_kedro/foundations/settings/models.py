"""Typed settings of the models, of the teachers and the student, and of what runs them."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, RootModel, field_validator, model_validator

from persyn_kedro.foundations.hashing import is_unicode
from persyn_kedro.foundations.settings.base import (
    FREE_TEXT,
    NO_EFFECT,
    Group,
    ModelName,
    Seed,
    one_line,
)
from persyn_kedro.foundations.settings.endpoint import EndpointSettings
from persyn_kedro.foundations.settings.plugins import kind
from persyn_kedro.foundations.templates.fixed_template import RESERVED

Think = Literal["keep", "strip"]


class ModelSettings(Group):
    """Where a model comes from (exactly one source) and how to load it.

    ``revision`` is a hub commit, or for an endpoint any label of yours for the state it is in.
    """

    zoo: str | None = Field(
        None,
        description="a small model from the package index, by its name there",
    )
    hub: str | None = Field(None, description="owner/name of a Hugging Face hub's model")
    revision: str | None = Field(
        None, description="a hub commit, tag or branch; of an endpoint, a label of yours"
    )
    local: str | None = Field(None, description="a directory of safetensors")
    gguf: str | None = Field(None, description="a GGUF file")
    endpoint: EndpointSettings | None = Field(
        None, description="an OpenAI-compatible server; teachers only"
    )
    random: Literal["chat", "base"] | None = Field(
        None, description="a tiny model with random weights, for tests"
    )
    random_seed: Seed = Field(0, description="of its weights")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "bfloat16", description="of the weights as they are loaded"
    )
    family: Annotated[str | None, NO_EFFECT] = Field(
        None, description="for the strategy family_strong"
    )
    license: Annotated[str | None, NO_EFFECT] = Field(
        None, min_length=1, description="a hub name, or the terms of an endpoint; for the cards"
    )
    chat_template: Annotated[str | None, FREE_TEXT] = Field(
        None, min_length=1, description="a Jinja template in place of the model's own"
    )
    template_date: str | None = Field(
        None, description="what templates take for today, YYYY-MM-DD; None: 2024-07-26, for ever"
    )
    template_arguments: dict[str, JsonValue] = Field(
        {}, description="handed to the template by name, such as enable_thinking: false"
    )
    think: Think = Field("strip", description="whether <think> text in its answers is kept")
    allow_pickle: bool = Field(False, description="weights in *.bin files, read by torch")
    allow_remote_code: bool = Field(False, description="run the Python files beside the weights")
    tensor_parallel_size: Annotated[int | None, NO_EFFECT] = Field(
        None, ge=1, description="None: the engine's"
    )
    pipeline_parallel_size: Annotated[int | None, NO_EFFECT] = Field(
        None, ge=1, description="None: the engine's"
    )
    replicas: Annotated[int, NO_EFFECT] = Field(1, ge=1, description="engine ray: copies, at most")
    accelerator: Annotated[str | None, NO_EFFECT] = Field(
        None, description="engine ray: the type of GPU, by Ray's name, such as H100"
    )

    @model_validator(mode="after")
    def _one_source(self) -> "ModelSettings":
        names = ("zoo", "hub", "local", "gguf", "endpoint", "random")
        if sum(bool(getattr(self, name)) for name in names) != 1:
            raise ValueError(f"a model needs exactly one of {', '.join(names)}")
        if self.revision and not (self.hub or self.endpoint):
            raise ValueError("revision belongs to a hub model or an endpoint")
        if self.endpoint and self.chat_template:
            raise ValueError("an endpoint renders with its own chat_template")
        if self.endpoint and self.template_date:
            raise ValueError("an endpoint's server renders, so template_date cannot be set for it")
        if (self.allow_pickle or self.allow_remote_code) and not (self.hub or self.local):
            raise ValueError("allow_pickle and allow_remote_code belong to hub and local models")
        if self.random_seed and not self.random:
            raise ValueError("random_seed belongs to a random model")
        return self

    @field_validator("template_date")
    @classmethod
    def _real_date(cls, day: str | None) -> str | None:
        if day is not None:
            if not re.fullmatch(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}", day):
                raise ValueError(f"{day!r} is no date as 2024-07-26 is")
            date.fromisoformat(day)
        return day

    @field_validator("template_arguments")
    @classmethod
    def _speakable(cls, arguments: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name, value in arguments.items():
            if name in RESERVED:
                raise ValueError(f"{name} is not a template's to be given")
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
                raise ValueError(f"{name!r} is no name that a template could read")
            _check_value(name, value)
        return arguments

    def __hash__(self) -> int:
        return hash(self.model_dump_json())  # arguments are no hashable value

    @property
    def source(self) -> tuple[Any, ...]:
        """Where the weights come from; equal sources are one model."""
        names = ("zoo", "hub", "revision", "local", "gguf", "endpoint", "random", "random_seed")
        return tuple(getattr(self, name) for name in names)


def _check_value(name: str, value: JsonValue) -> None:
    """Refuse what neither Jinja nor a server's JSON can write."""
    if isinstance(value, str) and not is_unicode(value):
        raise ValueError(f"{name} holds half a character (a lone surrogate)")
    if isinstance(value, dict):
        for each in [*value, *value.values()]:
            _check_value(name, each)
    if isinstance(value, list):
        for each in value:
            _check_value(name, each)


class SamplingSettings(Group):
    """How a teacher's tokens are drawn. ``temperature`` 0 is greedy."""

    temperature: float = Field(0.0, ge=0, le=100, description="0 is greedy")
    top_p: float = Field(
        1.0, gt=0, le=1, description="share of probability that tokens are drawn from"
    )
    top_k: int = Field(0, ge=0, description="likeliest tokens that are drawn from; 0: all")
    repetition_penalty: float = Field(1.0, ge=1e-3, le=100, description="1: none")
    max_new_tokens: int = Field(512, ge=1, description="of an answer; a longer one is truncated")

    @field_validator("temperature")
    @classmethod
    def _not_nearly_greedy(cls, temperature: float) -> float:
        if 0 < temperature < 1e-3:  # logits divided by less are no numbers any more
            raise ValueError("must be 0, which is greedy, or at least 0.001")
        return temperature


class Budget(Group):
    """What may be spent in one run. Tokens are prompt and completion tokens."""

    max_cost: float | None = Field(None, ge=0, le=1e12, description="in the unit of the prices")
    max_tokens: int | None = Field(
        None, ge=0, le=2**63 - 1, description="prompt and completion tokens"
    )

    @property
    def limits(self) -> bool:
        """Whether it limits anything."""
        return self.max_cost is not None or self.max_tokens is not None


class TeacherSettings(Group):
    """A model with its system prompt, sampling, and prices (per million tokens)."""

    model: ModelName = Field(description="one of models")
    system: Annotated[str | None, FREE_TEXT] = Field(
        None, description="a system message; none: the template's own default"
    )
    sampling: SamplingSettings = SamplingSettings()
    price: Annotated[float, NO_EFFECT] = Field(
        0.0, ge=0, le=1e12, description="of completion tokens"
    )
    prompt_price: Annotated[float, NO_EFFECT] = Field(
        0.0, ge=0, le=1e12, description="per million prompt tokens"
    )
    budget: Annotated[Budget, NO_EFFECT] = Budget()


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if len(name) > 255 or not one_line(name):
            raise ValueError("a name must have no control characters and at most 255 others")
        if not re.fullmatch(r"[^\s.,:=]+", name):
            raise ValueError(
                f"the name {name!r} must have none of . , : = and no space, which --params reads"
            )


class Models(RootModel[dict[str, ModelSettings]]):
    """All models by name."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _speakable(self) -> "Models":
        _check_names(self.root)
        return self


class Teachers(RootModel[dict[str, TeacherSettings]]):
    """The pool, in the settings' order, which breaks ties."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _two_or_more(self) -> "Teachers":
        if len(self.root) < 2:
            raise ValueError("routing needs at least two teachers")
        _check_names(self.root)
        return self


def thinks_of(models: Models, teachers: Teachers) -> dict[str, Think]:
    """Return whether each teacher's ``<think>`` text is kept: its model's setting."""
    return {name: models.root[t.model].think for name, t in teachers.root.items()}


class StudentSettings(Group):
    """The model that is trained, with the system prompt used in scoring, SFT and evaluation."""

    model: ModelName = Field(description="one of models")
    system: Annotated[str | None, FREE_TEXT] = Field(
        None, description="a system message in scoring, fine-tuning and evaluation"
    )


class EngineSettings(Group):
    """What runs local models. ``chunk_size`` responses are stored at a time."""

    name: Annotated[str, kind("vllm", "transformers", "ray"), NO_EFFECT] = Field(
        "vllm", description="or file.py:name, a function of requests, model and these settings"
    )
    inside: Annotated[str, kind("vllm", "transformers"), NO_EFFECT] = Field(
        "vllm", description="what engine ray runs on the cluster, or file.py:name"
    )
    models_at_once: Annotated[int, NO_EFFECT] = Field(
        4, ge=1, description="engine ray: models that answer at a time, where there is room"
    )
    batch_size: Annotated[int, NO_EFFECT] = Field(8, ge=1, description="transformers only")
    chunk_size: Annotated[int, NO_EFFECT] = Field(
        32, ge=1, description="responses that are stored at a time"
    )
    max_model_len: int = Field(2048, ge=16, description="tokens of prompt and answer together")
    max_num_seqs: Annotated[int, NO_EFFECT] = Field(
        64, ge=1, description="vllm: sequences in one batch"
    )
    gpu_memory_utilization: Annotated[float, NO_EFFECT] = Field(
        0.9, gt=0, le=1, description="vllm: share of a GPU's memory"
    )
    tensor_parallel_size: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="vllm: GPUs that one layer is split over"
    )
    pipeline_parallel_size: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="vllm: GPUs that the layers are split over"
    )
    cpu_kv_cache_gib: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="vllm on a CPU: GiB of its key-value cache"
    )
    max_failure_share: Annotated[float, NO_EFFECT] = Field(
        0.5, ge=0, le=1, description="a model over it is stopped"
    )
    budget: Annotated[Budget, NO_EFFECT] = Budget()
