"""Typed settings of the main path's steps, one Pydantic model for each group of the parameters."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from persyn_kedro.foundations.settings.base import FREE_TEXT, NO_EFFECT, Settings
from persyn_kedro.foundations.settings.models import SamplingSettings
from persyn_kedro.foundations.settings.plugins import kind

Fraction = float
# Each a name, or file.py:name, code of the user's own (foundations.settings.plugins).
QualityKind = Annotated[str, kind("exact_answer", "reward_model")]
SignalKind = Annotated[str, kind("mean_log_likelihood")]
RouterKind = Annotated[str, kind("language_model", "linear", "knn")]


class TaskSettings(Settings):
    """A reasoning-gym task: how many prompts, and the task's own settings."""

    name: str
    size: int = Field(ge=1)
    config: dict[str, int | float | bool | str] = {}


class PromptSource(Settings):
    """Exactly one source of prompts. Files have ``prompt`` and, if known, ``reference``.

    ``file`` is a path or URL of a file, a directory or a glob (``storage.prompt_files``).
    """

    file: str | None = None
    hub: str | None = None
    hub_config: str | None = None
    hub_split: str = "train"
    hub_revision: str | None = None
    tasks: list[TaskSettings] | None = None
    prompt_column: str = "prompt"
    reference_column: str = "reference"
    limit: int | None = Field(None, ge=1, description="first rows of all only; files and hub")
    prompt_suffix: Annotated[str, FREE_TEXT] = ""

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
    """``exact_answer`` checks against the reference; ``reward_model`` scores the pair.

    ``file.py:name`` is a function of the user's own (``domain.quality.own_function``).
    """

    kind: QualityKind = "exact_answer"
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
    learnability: SignalKind = Field(
        "mean_log_likelihood", description="or file.py:name (domain.learnability.signals)"
    )
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

    kind: RouterKind = Field(
        "language_model", description="or file.py:name, a domain.routers.base.TeacherRouter"
    )
    backbone: str = "smollm2"
    invalid: Literal["leave_out", "lose"] = Field(
        "leave_out", description="leave_out: no pairs (METHOD.md). lose: to every valid response"
    )
    epochs: int = Field(4, ge=1)
    batch_size: int = Field(8, ge=1)
    learning_rate: float = Field(1e-5, gt=0, le=1)
    head_learning_rate: float = Field(1e-3, gt=0, le=1)
    weight_decay: float = Field(0.01, ge=0, le=1)
    warmup_fraction: float = Field(0.1, ge=0, lt=1)
    max_prompt_tokens: int = Field(1024, ge=1)
    ridge: float | None = Field(
        None,
        gt=0,
        le=1e12,
        description="linear only; None: chosen for each teacher by leave-one-out",
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

    epochs: float = Field(2.0, gt=0)
    batch_size: int = Field(8, ge=1)
    gradient_accumulation: int = Field(1, ge=1)
    learning_rate: float = Field(1e-4, gt=0, le=1)
    warmup_fraction: float = Field(0.1, ge=0, lt=1)
    max_length: int = Field(1024, ge=16)
    precision: Literal["float32", "bfloat16_autocast", "bfloat16"] = "bfloat16_autocast"
    gradient_checkpointing: bool = False
    lora: LoraSettings | None = None


class EvaluateSettings(Settings):
    """The student is asked the test prompts before and after, greedily by default."""

    sampling: SamplingSettings = SamplingSettings()
    confidence: float = Field(0.95, gt=0, lt=1)
