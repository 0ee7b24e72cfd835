"""Typed settings of the models, the teachers, the student and the engine."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    RootModel,
    ValidationInfo,
    field_validator,
    model_validator,
)

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import is_unicode
from persyn_kedro.foundations.prompts.conversation import RowSystem
from persyn_kedro.foundations.settings.base import (
    FREE_TEXT,
    IF_SET,
    NO_EFFECT,
    Group,
    ModelName,
    Seed,
    one_line,
)
from persyn_kedro.foundations.settings.endpoint import Batch, EndpointSettings
from persyn_kedro.foundations.settings.plugins import kind
from persyn_kedro.foundations.templates.fixed_template import RESERVED

Think = Literal["keep", "strip"]
MAX_SAMPLES = 1000  # answers of one teacher to one prompt


class ModelSettings(Group):
    """Where a model comes from (exactly one source) and how to load it.

    ``revision`` is a hub commit; for an endpoint, any label of yours for its current state.
    """

    zoo: str | None = Field(
        None,
        description="a small model from the package index, by its name there",
    )
    hub: str | None = Field(None, description="owner/name of a model on the Hugging Face Hub")
    revision: str | None = Field(
        None, description="a hub commit, tag or branch; for an endpoint, a label of yours"
    )
    local: str | None = Field(None, description="a directory with safetensors")
    gguf: str | None = Field(None, description="a GGUF file")
    endpoint: EndpointSettings | None = Field(
        None, description="an OpenAI-compatible server; teachers only"
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
    def batch(self) -> Batch | None:
        """The service whose batch API is used, if any."""
        return self.endpoint.batch if self.endpoint else None

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


class SamplingSettings(Group):
    """How tokens are sampled. ``temperature`` 0 is greedy.

    A hosted model is not sent those that are null; a local one needs all of them.
    """

    temperature: float | None = Field(
        0.0, ge=0, le=100, description="0 is greedy; none (hosted teachers): not sent"
    )
    top_p: float | None = Field(
        1.0, gt=0, le=1, description="probability mass that tokens are sampled from; none: as above"
    )
    top_k: int | None = Field(
        0, ge=0, description="number of likeliest tokens to sample from; 0: all; none: as above"
    )
    repetition_penalty: float | None = Field(
        1.0, ge=1e-3, le=100, description="1: no penalty; none: as above"
    )
    max_new_tokens: int = Field(512, ge=1, description="per answer; a longer one is truncated")
    seed: Annotated[Literal["derived"] | None, NO_EFFECT] = Field(
        "derived", description="one per answer, derived from the run's seed; none: as above"
    )

    @field_validator("temperature")
    @classmethod
    def _not_nearly_greedy(cls, temperature: float | None) -> float | None:
        if temperature and temperature < 1e-3:  # logits divided by less overflow
            raise ValueError("must be 0 (greedy) or at least 0.001")
        return temperature

    @property
    def identity(self) -> dict[str, Any]:
        """What identifies an answer: everything except whether a seed is sent."""
        return self.model_dump(exclude={"seed"})

    @property
    def unset(self) -> list[str]:
        """The settings that are null, so left to the server."""
        return [name for name in type(self).model_fields if getattr(self, name) is None]


class Budget(Group):
    """Limits on the spending of one run. Tokens are prompt and completion tokens."""

    max_cost: float | None = Field(None, ge=0, le=1e12, description="in the currency of the prices")
    max_tokens: int | None = Field(
        None, ge=0, le=2**63 - 1, description="prompt and completion tokens"
    )

    @property
    def limits(self) -> bool:
        """Whether it limits anything."""
        return self.max_cost is not None or self.max_tokens is not None


@dataclass(frozen=True)
class Prices:
    """Prices per million tokens; ``cached`` None: cached prompt tokens cost as the others do."""

    completion: float = 0.0
    prompt: float = 0.0
    cached: float | None = None

    def times(self, factor: float) -> "Prices":
        """Return these prices, each multiplied."""
        cached = None if self.cached is None else factor * self.cached
        return Prices(factor * self.completion, factor * self.prompt, cached)

    def cost(self, prompt_tokens: float, completion_tokens: float, cached: float = 0) -> float:
        """Return the cost of these tokens; ``cached`` are part of the prompt's."""
        discount = 0.0 if self.cached is None else cached * (self.prompt - self.cached)
        full = prompt_tokens * self.prompt + completion_tokens * self.completion
        return (full - discount) / 1e6


class TeacherSettings(Group):
    """A model with its system prompt, sampling, and prices (per million tokens)."""

    model: ModelName = Field(description="one of models")
    system: Annotated[str | None, FREE_TEXT] = Field(
        None, description="a system message; none: the template's default"
    )
    row_system: Annotated[RowSystem, IF_SET] = Field(
        "join", description="a row's own system message: after the teacher's, instead, or left out"
    )
    sampling: SamplingSettings = SamplingSettings()
    samples: Annotated[int, IF_SET] = Field(
        1,
        ge=1,
        le=MAX_SAMPLES,
        description="answers to each calibration prompt; more need a temperature above 0",
    )
    price: Annotated[float, NO_EFFECT] = Field(
        0.0, ge=0, le=1e12, description="per million completion tokens"
    )
    prompt_price: Annotated[float, NO_EFFECT] = Field(
        0.0, ge=0, le=1e12, description="per million prompt tokens"
    )
    cached_prompt_price: Annotated[float | None, NO_EFFECT, IF_SET] = Field(
        None, ge=0, le=1e12, description="of those read from the server's cache; none: prompt_price"
    )
    budget: Annotated[Budget, NO_EFFECT] = Budget()

    @property
    def prices(self) -> Prices:
        """The three prices."""
        return Prices(self.price, self.prompt_price, self.cached_prompt_price)

    @field_validator("cached_prompt_price")
    @classmethod
    def _cache_is_cheaper(cls, price: float | None, info: ValidationInfo) -> float | None:
        if price is not None and price > info.data.get("prompt_price", price):
            raise ValueError("must not be above prompt_price")  # which budgets reserve
        return price

    @property
    def greedy(self) -> bool:
        """Whether it would give the same answer again."""
        return self.sampling.temperature == 0

    @model_validator(mode="after")
    def _samples_differ(self) -> "TeacherSettings":
        if self.samples > 1 and self.greedy:
            raise ValueError(
                f"samples is {self.samples}, but sampling.temperature is 0, so all of them would "
                "be the same answer: raise it, or set samples to 1"
            )
        return self


def _check_names(names: Iterable[str]) -> None:
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
        _check_names(self.root)
        return self


class Teachers(RootModel[dict[str, TeacherSettings]]):
    """The pool of teachers; their order in the settings breaks ties."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _two_or_more(self) -> "Teachers":
        if len(self.root) < 2:
            raise ValueError("routing needs at least two teachers")
        _check_names(self.root)
        return self


def check_sampling(models: Models, teachers: Teachers) -> None:
    """Refuse sampling settings that a teacher's model cannot take.

    These are null ones, if it is not hosted, and those that Anthropic's batches lack.

    Raises:
        PersynError: names the first such setting.
    """
    for name, teacher in teachers.root.items():
        if models.root[teacher.model].batch == "anthropic":
            _check_anthropic(name, teacher, models.root[teacher.model])
        unset = teacher.sampling.unset
        if unset and models.root[teacher.model].endpoint is None:
            raise PersynError(
                f"Parameter teachers.{name}.sampling.{unset[0]}: null is for hosted teachers only; "
                f"model {teacher.model!r} is local and needs a value."
            )


def _check_anthropic(name: str, teacher: TeacherSettings, model: ModelSettings) -> None:
    sampling, why = teacher.sampling, "Anthropic's Messages API (endpoint.batch: anthropic)"
    if sampling.repetition_penalty not in (None, 1.0):
        parameter = f"teachers.{name}.sampling.repetition_penalty"
        raise PersynError(f"Parameter {parameter}: {why} has none; set it to null.")
    if (sampling.temperature or 0) > 1:
        raise PersynError(
            f"Parameter teachers.{name}.sampling.temperature: {why} takes at most 1; lower it."
        )
    if model.template_arguments:
        raise PersynError(
            f"Parameter models.{teacher.model}.template_arguments: {why} has none; remove them."
        )


def thinks_of(models: Models, teachers: Teachers) -> dict[str, Think]:
    """Return whether each teacher's ``<think>`` text is kept, as its model's ``think`` says."""
    return {name: models.root[t.model].think for name, t in teachers.root.items()}


class StudentSettings(Group):
    """The model to train, with the system prompt used in scoring, SFT and evaluation."""

    model: ModelName = Field(description="one of models")
    system: Annotated[str | None, FREE_TEXT] = Field(
        None, description="a system message in scoring, fine-tuning and evaluation"
    )


class EngineSettings(Group):
    """What runs local models."""

    name: Annotated[str, kind("vllm", "transformers", "ray"), NO_EFFECT] = Field(
        "vllm", description="or file.py:name, a function of requests, model and these settings"
    )
    inside: Annotated[str, kind("vllm", "transformers"), NO_EFFECT] = Field(
        "vllm", description="engine ray: what runs the models on the cluster; or file.py:name"
    )
    models_at_once: Annotated[int, NO_EFFECT] = Field(
        4, ge=1, description="engine ray: models that run at once, if they fit"
    )
    batch_size: Annotated[int, NO_EFFECT] = Field(8, ge=1, description="transformers only")
    chunk_size: Annotated[int, NO_EFFECT] = Field(
        32, ge=1, description="responses stored at a time"
    )
    max_model_len: int = Field(2048, ge=16, description="tokens of prompt and answer together")
    max_num_seqs: Annotated[int, NO_EFFECT] = Field(
        64, ge=1, description="vllm: sequences in one batch"
    )
    gpu_memory_utilization: Annotated[float, NO_EFFECT] = Field(
        0.9, gt=0, le=1, description="vllm: share of a GPU's memory to use"
    )
    tensor_parallel_size: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="vllm: GPUs that each layer is split over"
    )
    pipeline_parallel_size: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="vllm: GPUs that the layers are split over"
    )
    cpu_kv_cache_gib: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="vllm on a CPU: size of the KV cache in GiB"
    )
    max_failure_share: Annotated[float, NO_EFFECT] = Field(
        0.5, ge=0, le=1, description="a model with a larger share of failed calls is stopped"
    )
    budget: Annotated[Budget, NO_EFFECT] = Budget()
