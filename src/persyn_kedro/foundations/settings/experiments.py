"""Typed settings of the steps that measure: routers and strategies compared, benchmarks."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from persyn_kedro.foundations.settings.base import NO_EFFECT, Group, ModelName, Seed
from persyn_kedro.foundations.settings.routers import RouterKind

StrategyName = Literal["persyn", "strong", "mix", "family_strong", "car", "random", "oracle"]


class CompareRoutersSettings(Group):
    """Routers compared by cross-validation over the whole calibration set.

    How a router is fitted stays in ``train_router``; its own kind is always among those compared.
    """

    kinds: list[RouterKind] = Field(
        ["language_model", "linear", "knn"], description="of routers, or file.py:name"
    )
    folds: int = Field(5, ge=2, description="of the cross-validation")
    sizes: list[float] = Field(
        [0.25, 0.5, 1.0], description="of the learning curve: shares of the prompts fitted on"
    )
    resamples: int = Field(2000, ge=100, le=1_000_000, description="of the bootstrap over prompts")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")

    @model_validator(mode="after")
    def _whole_size(self) -> "CompareRoutersSettings":
        if 1.0 not in self.sizes or not all(0 < size <= 1 for size in self.sizes):
            raise ValueError("sizes are shares in (0, 1], and 1 must be one of them")
        for name in ("kinds", "sizes"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} must not repeat itself")
        return self


class CompareSettings(Group):
    """Which training sets are built, and how students trained on them are compared.

    ``alphas`` are PerSyn with another ``label.alpha`` (METHOD's ablations are 0 and 1). ``oracle``
    brings ``persyn_calibration``, trained on the same calibration prompts.
    """

    strategies: list[StrategyName] = Field(
        ["persyn", "strong", "mix", "family_strong", "car", "random", "oracle"],
        description="that are compared; persyn must be among them",
    )
    alphas: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        [0.0, 1.0], description="PerSyn with another label.alpha"
    )
    seeds: list[Seed] = Field([1, 2, 3], min_length=1, description="of the students' training")
    mix_strong_share: float = Field(
        0.2, ge=0, le=1, description="mix: share of prompts to the strongest teacher"
    )
    car_beta: float = Field(3.0, ge=0, description="car: weight of the student's NLL")
    examples: Literal["common", "own"] = Field(
        "common",
        description="common: prompts whose answer may be trained on in every strategy. own: each "
        "strategy all that it has, so that numbers of examples differ",
    )
    min_share: float = Field(
        0.5, ge=0, le=1, description="of its answers; a strategy with fewer usable is left out"
    )
    resamples: int = Field(10_000, ge=100, le=1_000_000, description="of the bootstrap")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")

    @model_validator(mode="after")
    def _sensible(self) -> "CompareSettings":
        if "persyn" not in self.strategies:
            raise ValueError("strategies must hold persyn, which the others are compared with")
        for name in ("strategies", "alphas", "seeds"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} must not repeat itself")
        return self


class BenchmarkSettings(Group):
    """Standard benchmarks by lm-evaluation-harness, of the student before and after.

    ``svamp`` is a task of ours; all others are the harness's, or in ``include_path``. (Its
    ``minerva_math`` wants another antlr than Kedro's configuration does; ``hendrycks_math`` is the
    same data set, compared as text.)
    """

    tasks: list[str] = Field(
        ["gsm8k", "hendrycks_math", "svamp", "ifeval", "truthfulqa_mc2"],
        min_length=1,
        description="of the harness, svamp, or of include_path",
    )
    include_path: str | None = Field(None, description="a directory of task files of your own")
    num_fewshot: int | None = Field(None, ge=0, description="None: each task's own")
    limit: int | None = Field(None, ge=1, description="first prompts of each task; for trials")
    chat_template: bool = Field(True, description="ask in the template the student is trained in")
    backend: Literal["vllm", "hf"] = Field("vllm", description="what runs the student")
    batch_size: Annotated[int, NO_EFFECT] = Field(8, ge=1, description="hf only")
    max_length: int = Field(2048, ge=16, description="vllm only: prompt and answer, in tokens")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")


class TrainRewardModelSettings(Group):
    """A reward model from verifiable preferences, trained with TRL's RewardTrainer.

    ``model`` is any model of the pool's settings; its LM head gives way to a single score.
    """

    model: ModelName = Field("smollm2", description="the base, one of models")
    pairs_per_prompt: int = Field(4, ge=1, description="right against wrong, drawn by the seed")
    epochs: float = Field(2.0, gt=0, description="passes over the pairs")
    batch_size: int = Field(2, ge=1, description="pairs")
    gradient_accumulation: int = Field(4, ge=1, description="passes in one optimizer step")
    learning_rate: float = Field(5e-5, gt=0, le=1, description="highest, after the warm-up")
    warmup_fraction: float = Field(0.1, ge=0, lt=1, description="share of the steps")
    max_length: int = Field(1024, ge=16, description="tokens of prompt and answer")
    precision: Literal["float32", "bfloat16_autocast"] = Field(
        "bfloat16_autocast", description="of weights and arithmetic"
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="of the interval")
