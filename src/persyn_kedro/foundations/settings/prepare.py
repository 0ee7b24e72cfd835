"""Typed settings of the prompts: their sources and their splits."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from persyn_kedro.foundations.settings.base import FREE_TEXT, IF_SET, Group
from persyn_kedro.foundations.settings.cleaning import (
    AgainstSettings,
    LanguageSettings,
    LengthSettings,
    NearDuplicates,
    OverlapSettings,
)

Fraction = float
TaskValue = int | float | bool | str


class TaskSettings(Group):
    """A reasoning-gym task: the number of prompts, and the task's own settings."""

    name: str
    size: int = Field(ge=1)
    config: dict[str, TaskValue | list[TaskValue]] = {}


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
    tests_column: Annotated[str | None, IF_SET] = Field(
        "tests",
        description="column of tests of an answer's code, for label.quality: {kind: code} "
        "(guides/code_tests.md); none: no tests are read",
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
            "reference_column", "tests_column", "keep",
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
    near_duplicates: Annotated[NearDuplicates | None, IF_SET] = Field(
        None, description="of prompts that are nearly the same, keep one; null: off"
    )
    against: Annotated[list[AgainstSettings], IF_SET] = Field(
        [], description="test sets whose prompts must not be among yours"
    )
    overlap: Annotated[OverlapSettings, IF_SET] = OverlapSettings()
    language: Annotated[LanguageSettings, IF_SET] = LanguageSettings()
    length: Annotated[LengthSettings, IF_SET] = LengthSettings()

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
    def suffixes(self) -> dict[str | None, str]:
        """What was appended to the prompts of each source, by its name; of the one source, None."""
        return {getattr(source, "name", None): source.prompt_suffix for source in self.all_sources}

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


CLEANING = ("near_duplicates", "against", "overlap", "language", "length")


def cleans(settings: Iterable[Any]) -> bool:
    """Return whether these groups of settings may drop prompts that are not exact duplicates."""
    return any(
        isinstance(group, PrepareSettings)
        and bool(
            group.near_duplicates or group.against or group.language.keep or group.length.limits
        )
        for group in settings
    )
