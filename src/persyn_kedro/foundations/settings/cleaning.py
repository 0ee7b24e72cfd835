"""Typed settings of which prompts are dropped (METHOD.md, section 0)."""

from typing import Any

from pydantic import Field, model_validator

from persyn_kedro.foundations.settings.base import Group


class NearDuplicates(Group):
    """Of prompts whose texts are nearly the same, one is kept."""

    similarity: float = Field(
        0.8,
        gt=0,
        le=1,
        description="the share of common n-grams from which two are near-duplicates",
    )
    characters: int = Field(5, ge=1, le=100, description="of an n-gram")


class AgainstSettings(Group):
    """A test set whose prompts must not be among yours: exactly one of file, hub and benchmark."""

    file: str | None = Field(
        None, description="a file, directory or glob of JSON, JSON lines, CSV or Parquet"
    )
    hub: str | None = Field(None, description="owner/name of a dataset on the Hugging Face Hub")
    hub_config: str | None = Field(None, description="the dataset's configuration")
    hub_split: str = Field("test", description="the dataset's split")
    hub_revision: str | None = Field(None, description="a commit, tag or branch")
    column: str = Field(
        "prompt",
        description="files and hub: of the test prompt, a text or a conversation; a.b: key b of "
        "the object a",
    )
    benchmark: str | None = Field(
        None, description="a task or group of lm-evaluation-harness, or of include_path"
    )
    include_path: str | None = Field(None, description="a directory with your own task files")

    @model_validator(mode="after")
    def _one_source(self) -> "AgainstSettings":
        if sum(bool(s) for s in (self.file, self.hub, self.benchmark)) != 1:
            raise ValueError("set exactly one of file, hub and benchmark")
        given = self.model_fields_set
        wrong = [name for name in ("hub_config", "hub_split", "hub_revision") if name in given]
        if wrong and not self.hub:
            raise ValueError(f"{wrong[0]} is only for hub sources")
        if "column" in given and self.benchmark:
            raise ValueError("column is only for file and hub sources")
        if self.include_path and not self.benchmark:
            raise ValueError("include_path is only for a benchmark")
        return self

    @property
    def name(self) -> str:
        """What messages and tables call it."""
        return self.benchmark or self.hub or str(self.file)


class OverlapSettings(Group):
    """When a prompt has too much in common with a prompt of ``against``."""

    words: int = Field(13, ge=2, le=100, description="of a common n-gram")
    share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="of the test prompt's words, in common n-grams, from which one is dropped; "
        "0: one common n-gram is enough",
    )


class LanguageSettings(Group):
    """Prompts in any other language are dropped."""

    keep: list[str] = Field(
        [], description="ISO 639 codes such as en, de or zh; empty: every language"
    )
    certainty: float = Field(
        0.8, gt=0, le=1, description="probability of another language from which one is dropped"
    )


class LengthSettings(Group):
    """Shorter and longer prompts are dropped; null: no limit."""

    min_characters: int | None = Field(None, ge=1, description="of the user's turns together")
    max_characters: int | None = Field(None, ge=1, description="of the user's turns together")
    min_words: int | None = Field(None, ge=1, description="between spaces")
    max_words: int | None = Field(None, ge=1, description="between spaces")

    @model_validator(mode="after")
    def _some_are_left(self) -> "LengthSettings":
        for unit in ("characters", "words"):
            least, most = (getattr(self, f"{end}_{unit}") for end in ("min", "max"))
            if least is not None and most is not None and least > most:
                raise ValueError(f"min_{unit} must not exceed max_{unit}")
        return self

    @property
    def limits(self) -> dict[str, Any]:
        """Those that are set, by name."""
        return {name: value for name, value in self if value is not None}
