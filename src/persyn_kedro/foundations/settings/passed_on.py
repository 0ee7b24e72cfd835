"""Mappings of settings that go to a library as they are: which keys are refused, which do nothing.

The library's own fields are checked later (``check_fields``), as importing it takes seconds; a key
that is refused is refused when the settings are read.
"""

import difflib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from pydantic import GetCoreSchemaHandler, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.raw_values import shown


@dataclass(frozen=True)
class PassedOn:
    """Marks a mapping whose keys are a library's.

    Attributes:
        refused: by key, why it cannot be set.
        no_effect: keys that do not affect what a step makes, as ``NO_EFFECT``: they are part of no
            identity. Any other key is.
    """

    refused: Mapping[str, str]
    no_effect: frozenset[str] = frozenset()

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __hash__(self) -> int:
        return hash((frozenset(self.refused.items()), self.no_effect))

    def check(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return ``given``.

        Raises:
            ValueError: names the first key that is refused, and why.
        """
        for key in given:
            if key in self.refused:
                raise ValueError(f"{key} cannot be set here: {self.refused[key]}")
        return given

    def lasting(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what of ``given`` affects a result."""
        return {key: value for key, value in given.items() if key not in self.no_effect}


def because(reason: str, *keys: str) -> dict[str, str]:
    """Return these keys, refused for one reason."""
    return dict.fromkeys(keys, reason)


def elsewhere(group: str, **names: str) -> dict[str, str]:
    """Return keys that are refused because ``group`` has a setting, by its name, for them."""
    return {key: f"set {group}{name}" for key, name in names.items()}


def check_fields(
    place: str,
    given: Mapping[str, Any],
    owner: type,
    owner_name: str,
    beside: Collection[str] = (),
) -> None:
    """Refuse keys and values that do not fit a library's dataclass ``owner``.

    Args:
        place: the settings' key, such as ``sft.trainer``.
        owner_name: as in a sentence, such as TRL's SFTConfig.
        beside: our own keys in the same place, one of which may be meant.

    Raises:
        PersynError: names the key, and for an unknown one the field that is most like it.
    """
    known = {field.name for field in fields(owner) if field.init}
    for key, value in given.items():
        if key not in known:
            near = difflib.get_close_matches(key, [*beside, *sorted(known)], 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise PersynError(
                f"Unknown parameter {place}.{key}: {owner_name} has no such field{hint}"
            )
        try:
            kind: TypeAdapter[Any] = TypeAdapter(_kind_of(owner, key))
        except PydanticUserError:
            continue  # a type that only its library knows
        try:
            kind.validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            message = error.errors()[0]["msg"]
            raise PersynError(
                f"Parameter {place}.{key}: {message} (it is {shown(value)})."
            ) from error


def _kind_of(owner: type, key: str) -> Any:
    """Return a field's type; any, where its library names a type that it has not imported."""
    home = next(c for c in owner.__mro__ if key in c.__dict__.get("__annotations__", {}))
    about = {"__annotations__": {key: home.__annotations__[key]}, "__module__": home.__module__}
    try:
        return get_type_hints(type(home.__name__, (), about), include_extras=True)[key]
    except (NameError, TypeError):
        return Any


def refused_by(place: str, library: str, error: Exception) -> PersynError:
    """Return a library's error about its arguments as a sentence about settings."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = (lines or [type(error).__name__])[0].rstrip(".")
    return PersynError(f"Parameter {place}: {library} refuses it: {reason}.")
