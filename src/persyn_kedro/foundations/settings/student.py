"""Typed settings of the student: its model, fine-tuning and evaluation."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, field_validator, model_validator

from persyn_kedro.foundations.settings.base import FREE_TEXT, IF_SET, NO_EFFECT, Group, ModelName
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.foundations.settings.training_keys import DPO_TRAINER, SFT_TRAINER, check_lora


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


class StudentLoraSettings(LoraSettings):
    """The student's adapter. Any other key is one of PEFT's ``LoraConfig``: ``use_dora: true``.

    The weights that it adapts are frozen, and so may be kept in ``base`` or ``quantize``. The saved
    student is the adapter merged into the weights of its own dtype.
    """

    model_config = ConfigDict(extra="allow")

    base: Literal["float32", "bfloat16"] | None = Field(
        None,
        description="type of the frozen weights; none: float32 if precision or the model's dtype "
        "is, else bfloat16",
    )
    quantize: Annotated[Literal["4bit"] | None, IF_SET] = Field(
        None, description="the frozen weights in bitsandbytes' NF4; needs a CUDA GPU"
    )

    @property
    def peft(self) -> dict[str, Any]:
        """The keys that go to PEFT's ``LoraConfig`` as they are."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _not_ours(self) -> "StudentLoraSettings":
        check_lora(self.peft)
        return self


class TrainingSettings(Group):
    """What every training of the student can be told; full-parameter unless ``lora`` is set."""

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
    lora: StudentLoraSettings | None = Field(None, description="none: full-parameter fine-tuning")
    save_steps: Annotated[int | None, NO_EFFECT] = Field(
        None, ge=1, description="optimizer steps between checkpoints; none: one after each epoch"
    )
    attention: Annotated[
        Literal["sdpa", "eager", "flash_attention_2", "flex_attention"] | None, IF_SET
    ] = Field(
        None,
        description="Transformers' attention on padded rows (in sft, flash_attention_2 on rows "
        "without padding); none: in sft ours on packed rows, where the model allows it",
    )
    liger: Annotated[bool, IF_SET] = Field(
        False, description="Liger's kernels for the other layers; needs liger-kernel and a GPU"
    )

    @model_validator(mode="after")
    def _one_precision(self) -> "TrainingSettings":
        check_precision(self.precision, self.lora)
        if self.precision == "float32" and self.attention == "flash_attention_2":
            raise ValueError(
                "attention cannot be flash_attention_2 with precision float32: its kernels compute "
                "in half precision"
            )
        return self


def check_precision(precision: str, lora: StudentLoraSettings | None) -> None:
    """Refuse an adapter's base that is more precise than all weights are to be.

    Raises:
        ValueError: says what to leave out.
    """
    if precision == "bfloat16" and lora is not None and lora.base == "float32":
        raise ValueError(
            "lora.base cannot be float32 with precision bfloat16, which all weights then have; "
            "leave out the base, or set precision to bfloat16_autocast"
        )


class SftSettings(TrainingSettings):
    """Fine-tuning with TRL; full-parameter unless ``lora`` is set."""

    trainer: Annotated[dict[str, JsonValue], SFT_TRAINER, IF_SET] = Field(
        {}, description="any other field of TRL's SFTConfig, as it is"
    )


class DpoSettings(TrainingSettings):
    """Training of the fine-tuned student on preferences, with TRL's DPO, in one process."""

    epochs: float = Field(1.0, gt=0, description="passes over the pairs")
    batch_size: int = Field(4, ge=1, description="pairs per forward-backward pass")
    learning_rate: float = Field(1e-6, gt=0, le=1, description="peak, after the warm-up")
    beta: float = Field(0.1, gt=0, le=100, description="a lower one allows more change")
    trainer: Annotated[dict[str, JsonValue], DPO_TRAINER, IF_SET] = Field(
        {}, description="any other field of TRL's DPOConfig, as it is"
    )

    @model_validator(mode="after")
    def _dropout_is_used(self) -> "DpoSettings":
        if self.lora and self.lora.dropout and self.trainer.get("disable_dropout", True):
            raise ValueError(
                "lora.dropout has no effect while TRL's DPO disables all dropout; leave it out, or "
                "set trainer.disable_dropout to false"
            )
        return self


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
