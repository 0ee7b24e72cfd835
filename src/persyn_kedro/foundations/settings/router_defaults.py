"""Routers that have the keys that they lack from the router around them."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.foundations.settings.routers import (
    INHERITED,
    TrainRouterSettings,
    settings_of_kind,
)


def completed(router: TrainRouterSettings, around: TrainRouterSettings) -> TrainRouterSettings:
    """Return a router with the keys that it was given, and for the others those of ``around``.

    What it is made of inherits from it.
    """
    return settings_of_kind(router.kind, _given(router, around.model_dump()))


def _given(router: TrainRouterSettings, around: Mapping[str, Any]) -> dict[str, Any]:
    given = {key: getattr(router, key) for key in router.model_fields_set}
    found = {**around, **given}
    own = {key: found[key] for key in INHERITED if key in found}
    if "members" in given:
        found["members"] = [_given(member, own) for member in given["members"]]
    if "candidates" in given:
        found["candidates"] = {n: _given(c, own) for n, c in given["candidates"].items()}
    return found
