"""Typed settings of the main steps, one Pydantic model per group of parameters."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.base import FREE_TEXT, IF_SET, NO_EFFECT, Group, ModelName
from persyn_kedro.foundations.settings.models import MAX_SAMPLES, SamplingSettings, Teachers
from persyn_kedro.foundations.settings.plugins import kind

Fraction = float
# A known kind, or file.py:name for the user's own code (foundations.settings.plugins).
QualityKind = Annotated[str, kind("exact_answer", "reward_model")]
SignalKind = Annotated[str, kind("mean_log_likelihood")]
Normalisation = Literal["prompt_minmax", "prompt_z", "pool_z", "pool_rank"]


class TaskSettings(Group):
    """A reasoning-gym task: the number of prompts, and the task's own settings."""

    name: str
    size: int = Field(ge=1)
    config: dict[str, int | float | bool | str] = {}


class PromptSource(Group):
    """Exactly one source of prompts. Files have ``prompt`` and, if known, ``reference``.

    A row without a prompt may have a conversation, in OpenAI's form or in ShareGPT's.

    ``file`` is a path or URL of a file, a directory or a glob (``storage.prompt_files``).
    """

    file: str | None = Field(
        None,
        description="a file, directory or glob of JSON, JSON lines, CSV or Parquet",
    )
    hub: str | None = Field(None, description="owner/name of a dataset on the Hugging Face Hub")
    hub_config: str | None = Field(None, description="the dataset's configuration")
    hub_split: str = Field("train", description="the dataset's split")
    hub_revision: str | None = Field(None, description="a commit, tag or branch")
    tasks: list[TaskSettings] | None = Field(None, description="reasoning-gym tasks")
    prompt_column: str = Field(
        "prompt", description="column of the prompt; a.b: key b of the object a"
    )
    reference_column: str = Field(
        "reference", description="column of the reference; a list holds alternatives"
    )
    messages_column: Annotated[str, IF_SET] = Field(
        "messages",
        description="column of a conversation, if a row has no prompt: role and content",
    )
    conversations_column: Annotated[str, IF_SET] = Field(
        "conversations", description="the same in ShareGPT's form: from and value"
    )
    last_answer: Annotated[Literal["refuse", "reference"], IF_SET] = Field(
        "refuse",
        description="of a conversation that ends with the assistant: an error, or cut off and "
        "used as the reference of a row without one",
    )
    keep: Annotated[list[str], IF_SET] = Field(
        [], description="more columns to copy to sft_dataset and the exports"
    )
    limit: int | None = Field(None, ge=1, description="read only the first rows; files and hub")
    prompt_suffix: Annotated[str, FREE_TEXT] = Field("", description="appended to every prompt")

    @model_validator(mode="after")
    def _one_source(self) -> "PromptSource":
        if sum(bool(s) for s in (self.file, self.hub, self.tasks)) != 1:
            raise ValueError("set exactly one of file, hub and tasks")
        given = self.model_fields_set
        wrong = [name for name in ("hub_config", "hub_split", "hub_revision") if name in given]
        if wrong and not self.hub:
            raise ValueError(f"{wrong[0]} is only for hub sources")
        names = (
            "limit", "prompt_column", "messages_column", "conversations_column", "last_answer",
            "reference_column", "keep",
        )  # fmt: skip
        columns = [n for n in names if n in given]
        if columns and self.tasks:
            raise ValueError(f"{columns[0]} is only for file and hub sources; tasks have a size")
        return self

    @property
    def key(self) -> str:
        """The source's key in the settings, for messages."""
        return "prepare.source"


class NamedSource(PromptSource):
    """One of several sources, whose name is the ``source`` of its prompts."""

    name: str = Field(description="what tables, the report and exports call the source")
    weight: Annotated[float, IF_SET] = Field(
        1.0, gt=0, description="its share of prepare.limit, relative to the other sources' weights"
    )

    @property
    def key(self) -> str:
        """The source's key in the settings, for messages."""
        return f"prepare.sources ({self.name})"


class PrepareSettings(Group):
    """Where prompts come from, and the fractions to split them into; the rest is train.

    Set either ``source`` or ``sources``.
    """

    source: PromptSource | None = Field(None, description="the one source of prompts")
    sources: Annotated[list[NamedSource], IF_SET] = Field(
        [], description="several sources, in place of source; a prompt in two is the first one's"
    )
    limit: Annotated[int | None, IF_SET] = Field(
        None,
        ge=1,
        description="sources only: prompts in total, drawn by the seed, shared by the weights",
    )
    calibration_fraction: Fraction = Field(
        0.25, gt=0, lt=1, description="of all prompts: every teacher answers them"
    )
    test_fraction: Fraction = Field(
        0.2, ge=0, lt=1, description="of all prompts: only for evaluation"
    )
    holdout_fraction: Fraction = Field(
        0.2, gt=0, lt=1, description="of calibration: for the router's metrics"
    )
    withheld_fraction: Fraction = Field(0.1, ge=0, lt=1, description="of train: kept out of SFT")

    @model_validator(mode="after")
    def _source_or_sources(self) -> "PrepareSettings":
        if (self.source is None) == (not self.sources):
            raise ValueError("set either source or sources")
        names = [source.name for source in self.sources]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"sources has two that are named {repeated[0]!r}; rename one")
        if any("source" in source.keep for source in self.sources):
            raise ValueError("sources: keep must not have 'source', which is the source's name")
        if self.limit is not None and not self.sources:
            raise ValueError("limit is only for sources; set source.limit")
        if self.limit is None and any("weight" in s.model_fields_set for s in self.sources):
            raise ValueError("a source's weight is its share of limit; set limit too")
        return self

    @property
    def all_sources(self) -> list[PromptSource]:
        """The one source, or the several, in order."""
        return [self.source] if self.source else list(self.sources)

    @property
    def kept(self) -> list[str]:
        """The columns of the sources that travel to the training set and the exports."""
        name = ["source"] if self.sources else []
        return list(dict.fromkeys([*name, *(n for s in self.all_sources for n in s.keep)]))

    @model_validator(mode="after")
    def _leaves_train(self) -> "PrepareSettings":
        if self.calibration_fraction + self.test_fraction >= 1:
            raise ValueError("calibration_fraction + test_fraction must leave prompts to train on")
        return self


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
    normalise: Annotated[Normalisation, IF_SET] = Field(
        "prompt_minmax",
        description="how quality and learnability are put on one scale: within a prompt, or over "
        "the whole calibration set (pool), which keeps the sizes of differences",
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


class RouteSettings(Group):
    """How the router scores prompts."""

    batch_size: Annotated[int, NO_EFFECT] = Field(16, ge=1, description="prompts per forward pass")


class GenerateSettings(Group):
    """How many responses a prompt gets, and what to do with wrong ones and failed calls."""

    verification: Literal["keep", "drop", "next_choice"] = Field(
        "keep",
        description="what to do with routed answers that do not match their reference",
    )
    max_calls: int = Field(
        2,
        ge=1,
        description="next_choice only: most teachers asked per prompt, samples times each",
    )
    on_failure: Literal["leave_out", "next_choice"] = Field(
        "leave_out", description="what to do with prompts that their teacher could not answer"
    )
    samples: Annotated[int, IF_SET] = Field(
        1,
        ge=1,
        le=MAX_SAMPLES,
        description="answers of a teacher to a prompt, at most; more than "
        "1 need teachers with a temperature above 0",
    )
    keep: Annotated[Literal["first", "best", "all"], IF_SET] = Field(
        "first",
        description="of several answers: the first that verification accepts (they are asked for "
        "one by one), the best by label.quality, or all",
    )

    @model_validator(mode="after")
    def _several_are_used(self) -> "GenerateSettings":
        rejects = self.verification != "keep" or self.on_failure == "next_choice"
        if self.samples > 1 and self.keep == "first" and not rejects:
            raise ValueError(
                f"samples is {self.samples}, but keep: first takes the first answer where "
                "verification is keep: set keep to best or all, or verification to drop"
            )
        return self

    @property
    def at_once(self) -> int:
        """How many answers of one teacher to a prompt are asked for together."""
        return 1 if self.keep == "first" else self.samples

    @property
    def judged(self) -> bool:
        """Whether ``label.quality`` judges the answers."""
        return self.keep == "best" and self.samples > 1


def check_samples(teachers: Teachers, generate: GenerateSettings) -> None:
    """Refuse several answers of a teacher that would give the same one again.

    Raises:
        PersynError: names the teacher.
    """
    greedy = [name for name, teacher in teachers.root.items() if teacher.greedy]
    if generate.samples > 1 and greedy:
        raise PersynError(
            f"generate.samples is {generate.samples}, but teacher {greedy[0]!r} is greedy "
            "(temperature 0) and would give the same answer each time: raise "
            f"teachers.{greedy[0]}.sampling.temperature, or set generate.samples to 1."
        )


def draws_several(settings: Iterable[Any]) -> bool:
    """Return whether these groups of settings ask a teacher for several answers to a prompt."""
    return any(
        isinstance(group, GenerateSettings)
        and group.samples > 1
        or isinstance(group, Teachers)
        and any(teacher.samples > 1 for teacher in group.root.values())
        for group in settings
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
