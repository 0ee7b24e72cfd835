"""Typed settings of the steps that compare signals of learnability and try them on students."""

from typing import Annotated

from pydantic import Field, model_validator

from persyn_kedro.foundations.settings.base import Group, Seed
from persyn_kedro.foundations.settings.label import SIGNALS, Normalisation, SignalKind
from persyn_kedro.foundations.settings.student import StudentLoraSettings

Alpha = Annotated[float, Field(ge=0, le=1)]


class _Distinct(Group):
    @model_validator(mode="after")
    def _no_duplicates(self) -> "_Distinct":
        for name, value in self:
            if isinstance(value, list) and len(set(value)) < len(value):
                raise ValueError(f"{name} must not contain duplicates")
        return self


class CompareSignalsSettings(_Distinct):
    """Rewards with other signals, normalisations and alphas, from the stored answers alone."""

    signals: list[SignalKind] = Field(
        list(SIGNALS), min_length=1, description="values of label.learnability"
    )
    normalisations: list[Normalisation] = Field(
        ["prompt_minmax", "pool_z"], min_length=1, description="values of label.normalise"
    )
    alphas: list[Alpha] = Field([0.0, 0.4, 1.0], min_length=1, description="values of label.alpha")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")


class FitSignalSettings(_Distinct):
    """Small adapters, each trained on the calibration answers that one reward chooses.

    Training is as in ``sft``, but with ``lora``. The reward of ``label`` is always tried too.
    """

    signals: list[SignalKind] = Field(
        ["mean_log_likelihood", "rank_surprisal"], description="values of label.learnability"
    )
    alphas: list[Alpha] = Field([0.0, 0.4, 1.0], description="values of label.alpha")
    teachers: bool = Field(False, description="whether to try each teacher's answers alone too")
    tokens: int | None = Field(
        None,
        ge=1,
        description="of answers that each adapter is trained on; none: as many as the candidate "
        "with the fewest has",
    )
    held_out: float = Field(
        0.3, gt=0, lt=1, description="share of the calibration prompts that the adapters answer"
    )
    seeds: list[Seed] = Field([1, 2], min_length=1, description="one adapter per candidate each")
    lora: StudentLoraSettings = StudentLoraSettings()
    resamples: int = Field(2000, ge=100, le=1_000_000, description="bootstrap over prompts")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")
