"""Typed settings of which train prompts are worth a teacher's answer."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from persyn_kedro.foundations.settings.base import Group
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.foundations.settings.teachers import MAX_SAMPLES


class StudentSampling(SamplingSettings):
    """How the student samples the answers that its pass rate is counted over."""

    temperature: float | None = Field(
        1.0, ge=0, le=100, description="0 is greedy, and one answer is enough"
    )


class FocusSettings(Group):
    """Which train prompts are worth a teacher's answer, by the student's own pass rate p.

    The student answers those that have a reference, ``samples`` times each (METHOD.md, section 3).
    """

    keep: Literal["all", "failed", "frontier"] = Field(
        "all",
        description="all; failed: those with p below solved; frontier: a prompt with the "
        "probability 4 p (1 - p). Prompts without a reference stay",
    )
    solved: float = Field(
        1.0, gt=0, le=1, description="failed only: the pass rate from which a prompt is left out"
    )
    samples: int = Field(
        4,
        ge=1,
        le=MAX_SAMPLES,
        description="answers of the student to each prompt; one at temperature 0",
    )
    sampling: StudentSampling = StudentSampling()

    @field_validator("sampling")
    @classmethod
    def _all_set(cls, sampling: StudentSampling) -> StudentSampling:
        if sampling.unset:
            raise ValueError(f"{sampling.unset[0]} must not be null: the student is local")
        return sampling

    @model_validator(mode="after")
    def _rates_between(self) -> "FocusSettings":
        if self.keep == "frontier" and self.draws == 1:
            raise ValueError(
                "keep: frontier needs pass rates between 0 and 1: set samples to 2 or more and "
                "sampling.temperature above 0"
            )
        return self

    @property
    def draws(self) -> int:
        """How often the student is asked: once if it would give the same answer again."""
        return self.samples if self.sampling.temperature else 1
