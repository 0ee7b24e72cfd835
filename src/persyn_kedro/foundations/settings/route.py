"""Typed settings of the route step."""

from typing import Annotated

from pydantic import Field

from persyn_kedro.foundations.settings.base import NO_EFFECT, Group


class RouteSettings(Group):
    """How the router scores prompts."""

    batch_size: Annotated[int, NO_EFFECT] = Field(16, ge=1, description="prompts per forward pass")
