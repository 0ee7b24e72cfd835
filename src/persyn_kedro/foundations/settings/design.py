"""Typed settings of the calibration's design: which teachers are asked which prompts."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from persyn_kedro.foundations.settings.base import Group
from persyn_kedro.foundations.settings.spending import Budget


class AdaptiveSettings(Group):
    """Asks batch by batch, where the best teacher is uncertain."""

    first: int = Field(2, ge=2, description="teachers of each prompt, at random, before the first")
    batch: float = Field(
        0.5, gt=0, le=100, description="answers between two decisions, per calibration prompt"
    )
    groups: int = Field(8, ge=1, le=1000, description="of similar prompts, by embeddings")
    shrinkage: float = Field(
        40.0, gt=0, description="answers that a teacher's overall mean counts for in a group's"
    )
    confidence: float = Field(
        0.99, gt=0.5, lt=1, description="that a teacher is best nowhere, before it is dropped"
    )
    reward_worth: float = Field(
        100.0,
        ge=0,
        description="of a reward of 1 on a routed prompt, in answers of mean length; asking ends "
        "when more is expected to save less than it costs",
    )
    routed: int | None = Field(
        None, ge=1, description="prompts that the router will serve; none: calibration and train"
    )
    budget: Budget = Budget()


class DesignSettings(Group):
    """``full``: every prompt is asked of every teacher. Otherwise one of the two keys is set."""

    teachers_per_prompt: int | None = Field(
        None,
        ge=2,
        description="each prompt is asked of so many teachers, balanced at random; "
        "design: full asks all",
    )
    adaptive: AdaptiveSettings | None = Field(None, description="asked where it is worth it")

    @model_validator(mode="after")
    def _one_of_them(self) -> "DesignSettings":
        if self.teachers_per_prompt is not None and self.adaptive is not None:
            raise ValueError("set either teachers_per_prompt or adaptive")
        return self

    @property
    def at_random(self) -> int | None:
        """How many teachers of each prompt are asked at random; None: all."""
        return self.adaptive.first if self.adaptive else self.teachers_per_prompt


def _full(value: Any) -> Any:
    if isinstance(value, str):
        if value != "full":
            raise ValueError("must be full, {teachers_per_prompt: …} or {adaptive: {…}}")
        return DesignSettings()
    return value


Design = Annotated[DesignSettings, BeforeValidator(_full)]


def asks_some(settings: Iterable[Any]) -> bool:
    """Return whether these groups of settings ask only some of the teachers of a prompt."""
    return any(_design(group) != DesignSettings() for group in settings)


def asks_adaptively(settings: Iterable[Any]) -> bool:
    """Return whether these groups of settings choose whom to ask by earlier answers."""
    return any(_design(group).adaptive is not None for group in settings)


def _design(group: Any) -> DesignSettings:
    found = getattr(group, "design", None)
    return found if isinstance(found, DesignSettings) else DesignSettings()
