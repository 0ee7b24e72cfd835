"""Typed settings of the steps that measure: comparisons of routers and strategies, benchmarks."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, model_validator

from persyn_kedro.foundations.settings.base import (
    AS_GIVEN,
    IF_SET,
    NO_EFFECT,
    Group,
    ModelName,
    Seed,
)
from persyn_kedro.foundations.settings.routers import (
    RouterKind,
    TrainRouterSettings,
    settings_of_kind,
)

StrategyName = Literal[
    "persyn", "persyn_cheap", "strong", "mix", "family_strong", "car", "random", "oracle"
]


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


class CompareSettings(Group):
    """Which training sets are built, and how students trained on them are compared.

    ``alphas`` add PerSyn with another ``label.alpha`` (METHOD.md's ablations are 0 and 1).
    ``oracle`` adds ``persyn_calibration``, trained on the same calibration prompts.
    """

    strategies: list[StrategyName] = Field(
        ["persyn", "strong", "mix", "family_strong", "car", "random", "oracle"],
        description="to compare; must include persyn",
    )
    alphas: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        [0.0, 1.0], description="values of label.alpha to also compare PerSyn with"
    )
    seeds: list[Seed] = Field([1, 2, 3], min_length=1, description="one student per strategy each")
    mix_strong_share: float = Field(
        0.2, ge=0, le=1, description="mix: share of prompts sent to the strongest teacher"
    )
    car_beta: float = Field(3.0, ge=0, description="car: weight of the student's NLL")
    kept_reward: Annotated[float, IF_SET] = Field(
        0.99,
        gt=0,
        le=1,
        description="persyn_cheap and the frontier: share of the routed reward to keep for less",
    )
    examples: Literal["common", "own"] = Field(
        "common",
        description="common: only prompts whose answer is usable in every strategy; own: every "
        "usable answer of each strategy, so the numbers of examples differ",
    )
    min_share: float = Field(
        0.5, ge=0, le=1, description="a strategy with a smaller share of usable answers is left out"
    )
    resamples: int = Field(10_000, ge=100, le=1_000_000, description="bootstrap resamples")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")

    @model_validator(mode="after")
    def _sensible(self) -> "CompareSettings":
        if "persyn" not in self.strategies:
            raise ValueError("strategies must include persyn, which the others are compared with")
        for name in ("strategies", "alphas", "seeds"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} must not contain duplicates")
        return self


def compares_cheap(settings: Iterable[Any]) -> bool:
    """Return whether routing for less is compared, with these groups of settings."""
    return any(isinstance(g, CompareSettings) and "persyn_cheap" in g.strategies for g in settings)


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
