"""What the kinds of router can be told, by what several kinds share."""

from typing import Annotated, Literal

from pydantic import Field

from persyn_kedro.foundations.settings.base import IF_SET, Group, ModelName
from persyn_kedro.foundations.settings.student import LoraSettings

LossName = Literal[
    "bradley_terry", "weighted", "soft", "softmax_regret", "regression", "rao_kupper", "grk"
]
Pooling = Literal["mean", "last", "cls"]


class EmbeddingSettings(Group):
    """How a prompt becomes a point."""

    model: ModelName | None = Field(
        None, description="reads the prompts, such as a sentence encoder; none: backbone"
    )
    pooling: Pooling = Field(
        "mean", description="of the tokens' states; cls: the first token's, last: the last's"
    )
    layer: int | None = Field(
        None,
        ge=0,
        le=1000,
        description="whose states are read; 0: the input embeddings; none: the last",
    )
    template: bool = Field(
        True,
        description="render the prompt with the chat template; false: its text, with the special "
        "tokens of an encoder",
    )
    standardise: bool = Field(
        True, description="each dimension to mean 0 and deviation 1 over the prompts fitted on"
    )
    metric: Literal["euclidean", "cosine"] = Field("euclidean", description="of kNN's neighbours")


class LossKeys(Group):
    loss: Annotated[LossName | None, IF_SET] = Field(
        None,
        description="none: bradley_terry for language_model, regression for linear and mlp "
        "(METHOD.md, 2)",
    )
    temperature: Annotated[float | None, IF_SET] = Field(
        None, gt=0, description="soft: of rewards (none: 0.2); softmax_regret: of scores (none: 1)"
    )
    tie: Annotated[float, IF_SET] = Field(
        0.05, ge=0, le=1, description="rao_kupper, grk: rewards no further apart are tied"
    )

    @property
    def loss_name(self) -> str:
        """The loss, by its name."""
        return self.loss or "regression"


class LanguageModelKeys(LossKeys):
    epochs: int = Field(4, ge=1, description="passes over the prompts")
    learning_rate: float = Field(1e-5, gt=0, le=1, description="of the backbone")
    head_learning_rate: float = Field(1e-3, gt=0, le=1, description="of the coefficient head")
    weight_decay: float = Field(0.01, ge=0, le=1, description="of AdamW")
    warmup_fraction: float = Field(0.1, ge=0, lt=1, description="share of the steps")
    pooling: Annotated[Pooling, IF_SET] = Field(
        "last", description="of the tokens' states, which the head reads"
    )
    tuning: Annotated[Literal["full", "lora", "head_only"], IF_SET] = Field(
        "full", description="which weights are trained, besides the head"
    )
    lora: Annotated[LoraSettings, IF_SET] = LoraSettings()


class EmbeddingKeys(Group):
    embedding: Annotated[EmbeddingSettings, IF_SET] = EmbeddingSettings()


class LinearKeys(LossKeys, EmbeddingKeys):
    ridge: float | None = Field(
        None,
        gt=0,
        le=1e12,
        description="weight of the squared coefficients; none: chosen on prompts left out of "
        "the fit (one by one, for each teacher, where linear's loss is regression)",
    )


class MlpKeys(LinearKeys):
    hidden_units: Annotated[int, IF_SET] = Field(64, ge=1, description="of the one hidden layer")


class ShrunkKeys(Group):
    shrinkage: Annotated[float | None, IF_SET] = Field(
        None,
        ge=0,
        description="towards each teacher's mean, as a number of prompts (none: 0 for knn, 10 for "
        "task_type)",
    )


class KnnKeys(EmbeddingKeys, ShrunkKeys):
    neighbours: int = Field(8, ge=1, description="nearest prompts whose rewards are averaged")
    weights: Annotated[Literal["uniform", "distance"], IF_SET] = Field(
        "uniform", description="of the neighbours; distance: one over it"
    )


class TaskTypeKeys(ShrunkKeys):
    task_column: Annotated[str, IF_SET] = Field(
        "source", description="of the prompts: source, or a column that their source keeps"
    )
