"""Typed settings of quality, learnability and the reward."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from persyn_kedro.foundations.settings.base import IF_SET, NO_EFFECT, Group, ModelName
from persyn_kedro.foundations.settings.plugins import kind

# A known kind, or file.py:name for the user's own code (foundations.settings.plugins).
QualityKind = Annotated[str, kind("exact_answer", "reward_model")]
SignalKind = Annotated[str, kind("mean_log_likelihood")]


class QualitySettings(Group):
    """``exact_answer`` compares with the reference; ``reward_model`` scores the response.

    ``file.py:name`` is the user's own function (``domain.quality.own_function``).
    """

    kind: QualityKind = Field(
        "exact_answer", description="or file.py:name (domain.quality.own_function)"
    )
    model: ModelName | None = Field(None, description="the reward model, one of models")
    batch_size: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="reward model: pairs per forward pass"
    )

    @model_validator(mode="after")
    def _model_for_reward(self) -> "QualitySettings":
        if (self.kind == "reward_model") != (self.model is not None):
            raise ValueError("model must be set if kind is reward_model, and only then")
        return self


class LabelSettings(Group):
    """Reward r = (1 - alpha) r_q + alpha r_l, and what counts as a valid response."""

    alpha: float = Field(
        0.4, ge=0, le=1, description="weight of learnability; quality gets the rest"
    )
    quality: QualitySettings = QualitySettings()
    learnability: SignalKind = Field(
        "mean_log_likelihood", description="or file.py:name (domain.learnability.signals)"
    )
    allow_truncated: bool = Field(False, description="whether truncated answers may be trained on")
    unsolved: Literal["keep", "leave_out"] = Field(
        "keep", description="what to do with prompts that no teacher solves"
    )
    samples: Annotated[Literal["mean", "best"], IF_SET] = Field(
        "mean",
        description="of a teacher with several answers to a prompt: the terms' means over the "
        "valid ones, or the terms of the best (by quality, then by learnability)",
    )
    scoring_pack_tokens: Annotated[int, NO_EFFECT] = Field(
        2048, ge=1, description="tokens per forward pass of the student"
    )
    vocabulary_chunk: Annotated[int, NO_EFFECT] = Field(
        256, ge=1, description="response positions whose logits are in memory at once"
    )
