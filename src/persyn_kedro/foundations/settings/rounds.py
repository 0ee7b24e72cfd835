"""Typed settings of the rounds of training."""

from collections.abc import Iterable
from typing import Any

from pydantic import Field, model_validator

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.base import Group


class RoundsSettings(Group):
    """How many times the student is trained, each time on train prompts not used before.

    The first round is `kedro run`, the others are the pipeline ``next_round``.
    """

    count: int = Field(1, ge=1, le=100, description="rounds in all, the first included")
    share: float | None = Field(
        None, gt=0, le=1, description="of the train prompts that each round uses; none: 1 / count"
    )

    @model_validator(mode="after")
    def _enough_prompts(self) -> "RoundsSettings":
        if self.share is not None and self.count == 1:
            raise ValueError("share is for count of 2 or more")
        if self.share is not None and self.count * self.share > 1 + 1e-9:
            raise ValueError(
                f"{self.count} rounds of a share of {self.share:g} each need more than all train "
                "prompts: lower one of them"
            )
        return self


def has_rounds(settings: Iterable[Any]) -> bool:
    """Return whether some train prompts wait for a later round."""
    return any(isinstance(group, RoundsSettings) and group.count > 1 for group in settings)


def check_rounds(rounds: RoundsSettings) -> None:
    """Refuse a next round if there is to be only one.

    Raises:
        PersynError: says what to set.
    """
    if rounds.count == 1:
        raise PersynError(
            "rounds.count is 1, so there is no next round: set it to 2 or more, and run `kedro "
            "run` first, so that the first round leaves prompts for the others."
        )
