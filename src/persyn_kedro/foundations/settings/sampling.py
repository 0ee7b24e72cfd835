"""Typed settings of how a model samples its tokens."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from persyn_kedro.foundations.settings.base import NO_EFFECT, Group


class SamplingSettings(Group):
    """How tokens are sampled. ``temperature`` 0 is greedy.

    A hosted model is not sent those that are null; a local one needs all of them.
    """

    temperature: float | None = Field(
        0.0, ge=0, le=100, description="0 is greedy; none (hosted teachers): not sent"
    )
    top_p: float | None = Field(
        1.0, gt=0, le=1, description="probability mass that tokens are sampled from; none: as above"
    )
    top_k: int | None = Field(
        0, ge=0, description="number of likeliest tokens to sample from; 0: all; none: as above"
    )
    repetition_penalty: float | None = Field(
        1.0, ge=1e-3, le=100, description="1: no penalty; none: as above"
    )
    max_new_tokens: int = Field(512, ge=1, description="per answer; a longer one is truncated")
    seed: Annotated[Literal["derived"] | None, NO_EFFECT] = Field(
        "derived", description="one per answer, derived from the run's seed; none: as above"
    )

    @field_validator("temperature")
    @classmethod
    def _not_nearly_greedy(cls, temperature: float | None) -> float | None:
        if temperature and temperature < 1e-3:  # logits divided by less overflow
            raise ValueError("must be 0 (greedy) or at least 0.001")
        return temperature

    @property
    def identity(self) -> dict[str, Any]:
        """What identifies an answer: everything except whether a seed is sent."""
        return self.model_dump(exclude={"seed"})

    @property
    def unset(self) -> list[str]:
        """The settings that are null, so left to the server."""
        return [name for name in type(self).model_fields if getattr(self, name) is None]
