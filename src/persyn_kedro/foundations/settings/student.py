"""Typed settings of the student: its model, fine-tuning and evaluation."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from persyn_kedro.foundations.settings.base import FREE_TEXT, Group, ModelName
from persyn_kedro.foundations.settings.sampling import SamplingSettings


class StudentSettings(Group):
    """The model to train, with the system prompt used in scoring, SFT and evaluation."""

    model: ModelName = Field(description="one of models")
    system: Annotated[str | None, FREE_TEXT] = Field(
        None, description="a system message in scoring, fine-tuning and evaluation"
    )


class LoraSettings(Group):
    """PEFT's LoRA adapter over all linear layers, merged when saved."""

    rank: int = Field(16, ge=1, description="of the adapter's matrices")
    alpha: int = Field(32, ge=1, description="scaling of the adapter")
    dropout: float = Field(0.0, ge=0, lt=1, description="in the adapter")


class SftSettings(Group):
    """Fine-tuning with TRL; full-parameter unless ``lora`` is set."""

    epochs: float = Field(2.0, gt=0, description="passes over the training set")
    batch_size: int = Field(8, ge=1, description="rows per forward-backward pass")
    gradient_accumulation: int = Field(1, ge=1, description="passes per optimizer step")
    learning_rate: float = Field(1e-4, gt=0, le=1, description="peak, after the warm-up")
    warmup_fraction: float = Field(0.1, ge=0, lt=1, description="share of the steps")
    max_length: int = Field(1024, ge=16, description="tokens per row; longer rows are left out")
    precision: Literal["float32", "bfloat16_autocast", "bfloat16"] = Field(
        "bfloat16_autocast", description="of weights and arithmetic"
    )
    gradient_checkpointing: bool = Field(False, description="less memory, more time")
    lora: LoraSettings | None = Field(None, description="none: full-parameter fine-tuning")


class EvaluateSettings(Group):
    """How the student answers the test prompts before and after training; default: greedily."""

    sampling: SamplingSettings = SamplingSettings()
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")

    @field_validator("sampling")
    @classmethod
    def _all_set(cls, sampling: SamplingSettings) -> SamplingSettings:
        if sampling.unset:
            raise ValueError(f"{sampling.unset[0]} must not be null: the student is local")
        return sampling
