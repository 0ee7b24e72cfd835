"""Typed settings, one Pydantic model for each group of ``conf/*/parameters*.yml``.

Kedro builds them from the annotations of the nodes' arguments, before any node runs, so that an
unknown key or a bad value stops the run before a model is loaded.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

Fraction = float
Think = Literal["keep", "strip"]

NO_EFFECT = "no effect"
"""Marks settings of time, memory, money and names: what a step makes does not hang on them.

A change of them is no reason to do a step again (``foundations.step``). Batch sizes are among them
although they move results by rounding.
"""


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    chat_template: str | None = None
    think: Think = "strip"
    allow_pickle: bool = Field(False, description="weights in *.bin files, read by torch")
    allow_remote_code: bool = Field(False, description="run the Python files beside the weights")
    tensor_parallel_size: Annotated[int | None, NO_EFFECT] = Field(
        None, ge=1, description="None: the engine's"
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


class StudentSettings(Settings):
    """The model that is trained, with the system prompt used in scoring, SFT and evaluation."""

    model: str
    system: str | None = None


class EngineSettings(Settings):
    """What runs local models. ``chunk_size`` responses are stored at a time."""

    name: Annotated[Literal["vllm", "transformers"], NO_EFFECT] = "vllm"
    batch_size: Annotated[int, NO_EFFECT] = Field(8, ge=1, description="transformers only")
    chunk_size: Annotated[int, NO_EFFECT] = Field(32, ge=1)
    max_model_len: int = Field(2048, ge=16)
    max_num_seqs: Annotated[int, NO_EFFECT] = Field(64, ge=1)
    gpu_memory_utilization: Annotated[float, NO_EFFECT] = Field(0.9, gt=0, le=1)
    tensor_parallel_size: Annotated[int, NO_EFFECT] = Field(1, ge=1)
    cpu_kv_cache_gib: Annotated[int, NO_EFFECT] = Field(1, ge=1)
    max_failure_share: Annotated[float, NO_EFFECT] = Field(
        0.5, ge=0, le=1, description="a model over it is stopped"
    )
    budget: Annotated[Budget, NO_EFFECT] = Budget()


class TaskSettings(Settings):
    """A reasoning-gym task: how many prompts, and the task's own settings."""

    name: str
    size: int = Field(ge=1)
    config: dict[str, int | float | bool | str] = {}


class PromptSource(Settings):
    """Exactly one source of prompts. Files have ``prompt`` and, if known, ``reference``."""

    file: str | None = None
    hub: str | None = None
    hub_config: str | None = None
    hub_split: str = "train"
    hub_revision: str | None = None
    tasks: list[TaskSettings] | None = None
    prompt_column: str = "prompt"
    reference_column: str = "reference"
    limit: int | None = Field(None, ge=1, description="first rows only; files and hub")
    prompt_suffix: str = ""

    @model_validator(mode="after")
    def _one_source(self) -> "PromptSource":
        if sum(bool(s) for s in (self.file, self.hub, self.tasks)) != 1:
            raise ValueError("prompts come from exactly one of file, hub, tasks")
        given = self.model_fields_set
        wrong = [name for name in ("hub_config", "hub_split", "hub_revision") if name in given]
        if wrong and not self.hub:
            raise ValueError(f"{wrong[0]} belongs to a hub source")
        columns = [n for n in ("limit", "prompt_column", "reference_column") if n in given]
        if columns and self.tasks:
            raise ValueError(f"{columns[0]} belongs to a file or hub source; tasks have a size")
        return self


class PrepareSettings(Settings):
    """Source and hash fractions. What is neither calibration nor test is train."""

    source: PromptSource
    calibration_fraction: Fraction = Field(0.25, gt=0, lt=1)
    test_fraction: Fraction = Field(0.2, ge=0, lt=1)
    holdout_fraction: Fraction = Field(
        0.2, gt=0, lt=1, description="of calibration, for the router's metrics"
    )
    withheld_fraction: Fraction = Field(0.1, ge=0, lt=1, description="of train, kept out of SFT")

    @model_validator(mode="after")
    def _leaves_train(self) -> "PrepareSettings":
        if self.calibration_fraction + self.test_fraction >= 1:
            raise ValueError("calibration_fraction + test_fraction must leave prompts to train on")
        return self


class QualitySettings(Settings):
    """``exact_answer`` checks against the reference; ``reward_model`` scores the pair."""

    kind: Literal["exact_answer", "reward_model"] = "exact_answer"
    model: str | None = None
    batch_size: Annotated[int, NO_EFFECT] = Field(1, ge=1)

    @model_validator(mode="after")
    def _model_for_reward(self) -> "QualitySettings":
        if (self.kind == "reward_model") != (self.model is not None):
            raise ValueError("model is set if and only if kind is reward_model")
        return self


class LabelSettings(Settings):
    """Reward r = (1 - alpha) r_q + alpha r_l, and what counts as a valid response."""

    alpha: float = Field(0.4, ge=0, le=1)
    quality: QualitySettings = QualitySettings()
    allow_truncated: bool = False
    unsolved: Literal["keep", "leave_out"] = "keep"
    scoring_pack_tokens: Annotated[int, NO_EFFECT] = Field(
        2048, ge=1, description="tokens that one forward pass of the student reads"
    )
    vocabulary_chunk: Annotated[int, NO_EFFECT] = Field(
        256, ge=1, description="response positions whose logits exist at once"
    )


class TrainRouterSettings(Settings):
    """Which router, on which backbone, and how it is fitted."""

    kind: Literal["language_model", "linear", "knn"] = "language_model"
    backbone: str = "smollm2"
    invalid: Literal["leave_out", "lose"] = Field(
        "leave_out", description="leave_out: no pairs (METHOD.md). lose: to every valid response"
    )
    epochs: int = Field(4, ge=1)
    batch_size: int = Field(8, ge=1)
    learning_rate: float = Field(1e-5, gt=0)
    head_learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warmup_fraction: float = Field(0.1, ge=0, lt=1)
    max_prompt_tokens: int = Field(1024, ge=1)
    ridge: float | None = Field(
        None, gt=0, description="linear only; None: chosen for each teacher by leave-one-out"
    )
    neighbours: int = Field(8, ge=1, description="knn only")


class RouteSettings(Settings):
    """How many prompts one forward pass takes."""

    batch_size: Annotated[int, NO_EFFECT] = Field(16, ge=1)


class GenerateSettings(Settings):
    """What happens to routed responses that do not match their reference."""

    verification: Literal["keep", "drop", "next_choice"] = "keep"
    max_calls: int = Field(2, ge=1, description="next_choice only: calls for one prompt")
    on_failure: Literal["leave_out", "next_choice"] = "leave_out"


class LoraSettings(Settings):
    """PEFT's LoRA adapter over all linear layers, merged when saved."""

    rank: int = Field(16, ge=1)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)


class SftSettings(Settings):
    """Fine-tuning with TRL. ``lora`` unset: full-parameter."""

    epochs: float = Field(2, gt=0)
    batch_size: int = Field(8, ge=1)
    gradient_accumulation: int = Field(1, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    warmup_fraction: float = Field(0.1, ge=0, lt=1)
    max_length: int = Field(1024, ge=16)
    precision: Literal["float32", "bfloat16_autocast", "bfloat16"] = "bfloat16_autocast"
    gradient_checkpointing: bool = False
    lora: LoraSettings | None = None


class EvaluateSettings(Settings):
    """The student is asked the test prompts before and after, greedily by default."""

    sampling: SamplingSettings = SamplingSettings()
    confidence: float = Field(0.95, gt=0, lt=1)
