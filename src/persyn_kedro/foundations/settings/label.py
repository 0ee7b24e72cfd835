"""Typed settings of quality, learnability and the reward."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from persyn_kedro.foundations.settings.base import IF_SET, NO_EFFECT, Group, ModelName
from persyn_kedro.foundations.settings.design import Design, DesignSettings
from persyn_kedro.foundations.settings.plugins import kind

# A known kind, or file.py:name for the user's own code (foundations.settings.plugins).
QualityKind = Annotated[str, kind("exact_answer", "reward_model")]
LOCAL_LIKELIHOOD = "local_likelihood"
SIGNALS = {  # as exports and the report say them
    "mean_log_likelihood": "the student's mean log-likelihood of the answer's tokens",
    "rank_surprisal": "the ratio of the tokens' ranks to their surprisal under the student",
    "brier": "the mean Brier score of the student's predictions of the answer's tokens",
    "lark": "the expected rate of learning (LARK) of the answer by the student",
    "worst_window": "the student's mean log-likelihood of the answer's least likely stretch",
    LOCAL_LIKELIHOOD: "the student's mean log-likelihood of a sentence after the four before it",
}
SignalKind = Annotated[str, kind(*SIGNALS)]
Normalisation = Literal["prompt_minmax", "prompt_z", "pool_z", "pool_rank"]


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


REWARD_FIELDS = (  # of LabelSettings: what the rewards of scored answers depend on
    "alpha", "learnability", "window", "normalise", "allow_truncated", "unsolved", "samples",
)  # fmt: skip


class LabelSettings(Group):
    """Reward r = (1 - alpha) r_q + alpha r_l, and what counts as a valid response."""

    alpha: float = Field(
        0.4, ge=0, le=1, description="weight of learnability; quality gets the rest"
    )
    quality: QualitySettings = QualitySettings()
    learnability: SignalKind = Field(
        "mean_log_likelihood",
        description=f"{', '.join(SIGNALS)}, or file.py:name (domain.learnability.signals)",
    )
    window: Annotated[int, IF_SET] = Field(
        32, ge=1, description="worst_window only: tokens in a row whose mean likelihood counts"
    )
    local: Annotated[bool, IF_SET] = Field(
        False,
        description="whether the student also reads each answer sentence by sentence; true if "
        "learnability is local_likelihood",
    )
    normalise: Annotated[Normalisation, IF_SET] = Field(
        "prompt_minmax",
        description="how quality and learnability are put on one scale: within a prompt, or over "
        "the whole calibration set (pool), which keeps the sizes of differences",
    )
    design: Annotated[Design, IF_SET] = Field(
        DesignSettings(), description="full, or {teachers_per_prompt: …} or {adaptive: {…}}"
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

    @model_validator(mode="before")
    @classmethod
    def _read_by_sentences(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("learnability") == LOCAL_LIKELIHOOD:
            return {"local": True, **values}
        return values

    @model_validator(mode="after")
    def _has_its_pass(self) -> "LabelSettings":
        if self.learnability == LOCAL_LIKELIHOOD and not self.local:
            raise ValueError("learnability: local_likelihood needs local: true")
        return self
