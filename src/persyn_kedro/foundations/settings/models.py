"""Typed settings of the models, of the teachers and the student, and of what runs them."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, RootModel, model_validator

from persyn_kedro.foundations.settings.base import NO_EFFECT, Settings
from persyn_kedro.foundations.settings.plugins import kind

Think = Literal["keep", "strip"]


class EndpointSettings(Settings):
    """An OpenAI-compatible server's model. The key comes from the environment alone."""

    url: str = Field(pattern=r"^https?://[^@\s]+$", description="ends in /v1, mostly; no password")
    model: str
    api_key_env: Annotated[str | None, NO_EFFECT] = Field(
        None, description="the variable that holds the key, if any"
    )
    max_concurrency: Annotated[int, NO_EFFECT] = Field(
        8, ge=1, description="falls after a 429 and rises again"
    )
    timeout_seconds: Annotated[float, NO_EFFECT] = Field(120.0, gt=0)
    max_tries: Annotated[int, NO_EFFECT] = Field(6, ge=1)
    backoff_seconds: Annotated[float, NO_EFFECT] = Field(
        1.0, gt=0, description="doubles from try to try, with jitter"
    )
    max_tokens_parameter: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    send_seed: bool = True
    allow_template_markers: bool = Field(
        False, description="ask prompts that hold <|im_end|>, [/INST] and the like"
    )


class ModelSettings(Settings):
    """Where a model comes from (exactly one source) and how to load it.

    ``revision`` is a hub commit, or for an endpoint any label of yours for the state it is in.
    """

    zoo: str | None = None
    hub: str | None = None
    revision: str | None = None
    local: str | None = None
    gguf: str | None = None
    endpoint: EndpointSettings | None = None
    random: Literal["chat", "base"] | None = None
    random_seed: int = 0
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    family: Annotated[str | None, NO_EFFECT] = None
    license: Annotated[str | None, NO_EFFECT] = Field(
        None, min_length=1, description="a hub name, or the terms of an endpoint; for the cards"
    )
    chat_template: str | None = None
    think: Think = "strip"
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
        if (self.allow_pickle or self.allow_remote_code) and not (self.hub or self.local):
            raise ValueError("allow_pickle and allow_remote_code belong to hub and local models")
        if self.random_seed and not self.random:
            raise ValueError("random_seed belongs to a random model")
        return self

    @property
    def source(self) -> tuple[Any, ...]:
        """Where the weights come from; equal sources are one model."""
        names = ("zoo", "hub", "revision", "local", "gguf", "endpoint", "random", "random_seed")
        return tuple(getattr(self, name) for name in names)


class SamplingSettings(Settings):
    """How a teacher's tokens are drawn. ``temperature`` 0 is greedy."""

    temperature: float = Field(0.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    repetition_penalty: float = Field(1.0, gt=0)
    max_new_tokens: int = Field(512, ge=1)


class Budget(Settings):
    """What may be spent in one run. Tokens are prompt and completion tokens."""

    max_cost: float | None = Field(None, ge=0)
    max_tokens: int | None = Field(None, ge=0)

    @property
    def limits(self) -> bool:
        """Whether it limits anything."""
        return self.max_cost is not None or self.max_tokens is not None


class TeacherSettings(Settings):
    """A model with its system prompt, sampling, and prices (per million tokens)."""

    model: str
    system: str | None = None
    sampling: SamplingSettings = SamplingSettings()
    price: Annotated[float, NO_EFFECT] = Field(0.0, ge=0, description="of completion tokens")
    prompt_price: Annotated[float, NO_EFFECT] = Field(0.0, ge=0)
    budget: Annotated[Budget, NO_EFFECT] = Budget()


def _check_names(names: Iterable[str]) -> None:
    for name in names:
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


class StudentSettings(Settings):
    """The model that is trained, with the system prompt used in scoring, SFT and evaluation."""

    model: str
    system: str | None = None


class EngineSettings(Settings):
    """What runs local models. ``chunk_size`` responses are stored at a time."""

    name: Annotated[str, kind("vllm", "transformers", "ray"), NO_EFFECT] = Field(
        "vllm", description="or file.py:name, a function as transformers_engine.generate"
    )
    inside: Annotated[str, kind("vllm", "transformers"), NO_EFFECT] = Field(
        "vllm", description="what engine ray runs on the cluster, or file.py:name"
    )
    models_at_once: Annotated[int, NO_EFFECT] = Field(
        4, ge=1, description="engine ray: models that answer at a time, where there is room"
    )
    batch_size: Annotated[int, NO_EFFECT] = Field(8, ge=1, description="transformers only")
    chunk_size: Annotated[int, NO_EFFECT] = Field(32, ge=1)
    max_model_len: int = Field(2048, ge=16)
    max_num_seqs: Annotated[int, NO_EFFECT] = Field(64, ge=1)
    gpu_memory_utilization: Annotated[float, NO_EFFECT] = Field(0.9, gt=0, le=1)
    tensor_parallel_size: Annotated[int, NO_EFFECT] = Field(1, ge=1)
    pipeline_parallel_size: Annotated[int, NO_EFFECT] = Field(1, ge=1)
    cpu_kv_cache_gib: Annotated[int, NO_EFFECT] = Field(1, ge=1)
    max_failure_share: Annotated[float, NO_EFFECT] = Field(
        0.5, ge=0, le=1, description="a model over it is stopped"
    )
    budget: Annotated[Budget, NO_EFFECT] = Budget()
