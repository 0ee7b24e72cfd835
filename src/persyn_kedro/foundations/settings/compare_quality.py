"""Typed settings of the step that compares ways of judging answers."""

from typing import Annotated

from pydantic import Field, field_validator

from persyn_kedro.foundations.settings.base import AS_GIVEN, Group
from persyn_kedro.foundations.settings.label import QualitySettings


class CompareQualitySettings(Group):
    """Ways of judging, side by side on the stored calibration answers."""

    kinds: Annotated[dict[str, QualitySettings], AS_GIVEN] = Field(
        {},
        description="values of label.quality by name; empty: label.quality, and exact_answer if "
        "prompts have references",
    )
    resamples: int = Field(2000, ge=100, le=1_000_000, description="bootstrap over prompts")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")

    @property
    def ways(self) -> list[QualitySettings]:
        """The ways of judging that are named."""
        return list(self.kinds.values())

    @property
    def ways_by_key(self) -> dict[str, QualitySettings]:
        """They, by the settings that they come from."""
        return {f"compare_quality.kinds.{name}": way for name, way in self.kinds.items()}

    @field_validator("kinds")
    @classmethod
    def _several(cls, kinds: dict[str, QualitySettings]) -> dict[str, QualitySettings]:
        if len(kinds) == 1:
            raise ValueError("must name two ways of judging or more, or none")
        return kinds
