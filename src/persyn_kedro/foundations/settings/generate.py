"""Typed settings of the generate step."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.base import IF_SET, Group
from persyn_kedro.foundations.settings.judging import runs_code
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.teachers import MAX_SAMPLES, Teachers

_LABEL = LabelSettings()


class GenerateSettings(Group):
    """How many responses a prompt gets, and what to do with wrong ones and failed calls."""

    verification: Literal["keep", "drop", "next_choice", "resample"] = Field(
        "keep",
        description="what to do with routed answers that do not match their reference; resample: "
        "ask the same teacher again before the next choice",
    )
    max_calls: int = Field(
        2,
        ge=1,
        description="next_choice: most teachers asked per prompt, samples times each; resample: "
        "most calls per prompt",
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
        if self.verification == "resample" and self.keep != "first":
            raise ValueError("verification: resample asks one by one: set keep to first")
        return self

    @property
    def draws(self) -> int:
        """How many answers a teacher may be asked for to one prompt."""
        resamples = self.verification == "resample"
        return min(max(self.samples, 2), self.max_calls) if resamples else self.samples

    @property
    def most_calls(self) -> int:
        """How many calls a prompt may take, apart from failed ones."""
        if self.verification == "resample":
            return self.max_calls
        return self.samples * (self.max_calls if self.verification == "next_choice" else 1)

    @property
    def at_once(self) -> int:
        """How many answers of one teacher to a prompt are asked for together."""
        return 1 if self.keep == "first" else self.samples

    @property
    def judged(self) -> bool:
        """Whether ``label.quality`` judges the answers."""
        return self.keep == "best" and self.samples > 1


def check_samples(
    teachers: Teachers, generate: GenerateSettings, label: LabelSettings = _LABEL
) -> None:
    """Refuse several answers of a teacher that would give the same one again, or be judged apart.

    Raises:
        PersynError: names the teacher, or the setting.
    """
    if generate.judged and all(way.compares for way in label.ways):
        raise PersynError(
            "generate.keep is best, which judges each teacher's answers as they come, but mode "
            f"{label.ways[0].mode} of label.quality compares a prompt's answers with each other: "
            "set it to score."
        )
    greedy = [name for name, teacher in teachers.root.items() if teacher.greedy]
    if generate.draws > 1 and greedy:
        several, instead = f"samples is {generate.samples}", "generate.samples to 1"
        if generate.samples == 1:
            several, instead = "verification is resample", "it to next_choice"
        raise PersynError(
            f"generate.{several}, but teacher {greedy[0]!r} is greedy (temperature 0) and would "
            f"give the same answer each time: raise teachers.{greedy[0]}.sampling.temperature, or "
            f"set {instead}."
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


def verifies_code(settings: Iterable[Any]) -> bool:
    """Return whether routed answers' code is run, by these groups of settings."""
    groups = list(settings)
    kept = [group.verification == "keep" for group in groups if isinstance(group, GenerateSettings)]
    return runs_code(groups) and not any(kept)
