"""Typed settings of the steps that measure: comparison of routers, benchmarks, reward models."""

from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny, model_validator

from persyn_kedro.foundations.settings.base import AS_GIVEN, IF_SET, NO_EFFECT, Group, ModelName
from persyn_kedro.foundations.settings.routers import (
    RouterKind,
    TrainRouterSettings,
    settings_of_kind,
)


class CompareRoutersSettings(Group):
    """Routers compared by cross-validation over the whole calibration set.

    How a router is fitted is set in ``train_router``, whose kind is always compared too.
    """

    kinds: list[RouterKind] = Field(
        ["language_model", "linear", "knn"], description="to compare; also file.py:name"
    )
    routers: Annotated[dict[str, SerializeAsAny[TrainRouterSettings]], IF_SET, AS_GIVEN] = Field(
        {},
        description="in place of kinds, routers by name: each has the keys that it gives, and for "
        "the others those of train_router that its kind has",
    )
    folds: int = Field(5, ge=2, description="of the cross-validation")
    repeats: Annotated[int, IF_SET] = Field(
        1, ge=1, le=100, description="of the cross-validation, with other folds and seeds"
    )
    sizes: list[float] = Field(
        [0.25, 0.5, 1.0], description="of the learning curve, as shares of the prompts to fit on"
    )
    resamples: int = Field(2000, ge=100, le=1_000_000, description="bootstrap over prompts")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")

    @property
    def all_routers(self) -> list[TrainRouterSettings]:
        """The named routers, or one of each kind, with their kinds' own defaults."""
        return list(self.routers.values()) or [settings_of_kind(k, {}) for k in self.kinds]

    @model_validator(mode="after")
    def _whole_size(self) -> "CompareRoutersSettings":
        if 1.0 not in self.sizes or not all(0 < size <= 1 for size in self.sizes):
            raise ValueError("sizes must be in (0, 1] and include 1")
        for name in ("kinds", "sizes"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} must not contain duplicates")
        if taken := {"constant", "random", "oracle"} & self.routers.keys():
            raise ValueError(f"routers must not be named {min(taken)}, which is always compared")
        return self


class BenchmarkSettings(Group):
    """Standard benchmarks of the student before and after training, by lm-evaluation-harness.

    ``svamp`` is this project's task; all others are the harness's, or in ``include_path``. (The
    harness's ``minerva_math`` needs another version of antlr than Kedro's configuration does;
    ``hendrycks_math`` is the same dataset, compared as text.)
    """

    tasks: list[str] = Field(
        ["gsm8k", "hendrycks_math", "svamp", "ifeval", "truthfulqa_mc2"],
        min_length=1,
        description="of the harness or of include_path, or svamp",
    )
    include_path: str | None = Field(None, description="a directory with your own task files")
    num_fewshot: int | None = Field(None, ge=0, description="none: each task's default")
    limit: int | None = Field(
        None, ge=1, description="only the first prompts of each task, for quick trials"
    )
    chat_template: bool = Field(
        True, description="use the chat template that the student is trained with"
    )
    backend: Literal["vllm", "hf"] = Field("vllm", description="what runs the student")
    batch_size: Annotated[int, NO_EFFECT] = Field(8, ge=1, description="hf only")
    max_length: int = Field(
        2048, ge=16, description="vllm only: tokens of prompt and answer together"
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")


class TrainRewardModelSettings(Group):
    """A reward model trained on verifiable preferences with TRL's RewardTrainer.

    ``model`` is any of ``models``; its LM head is replaced by one that gives a single score.
    """

    model: ModelName = Field("smollm2", description="the base model, one of models")
    pairs_per_prompt: int = Field(
        4, ge=1, description="pairs of a right and a wrong answer, drawn by the seed"
    )
    epochs: float = Field(2.0, gt=0, description="passes over the pairs")
    batch_size: int = Field(2, ge=1, description="pairs per forward-backward pass")
    gradient_accumulation: int = Field(4, ge=1, description="passes per optimizer step")
    learning_rate: float = Field(5e-5, gt=0, le=1, description="peak, after the warm-up")
    warmup_fraction: float = Field(0.1, ge=0, lt=1, description="share of the steps")
    max_length: int = Field(1024, ge=16, description="tokens; longer pairs are left out")
    precision: Literal["float32", "bfloat16_autocast"] = Field(
        "bfloat16_autocast", description="of weights and arithmetic"
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="of the interval")
