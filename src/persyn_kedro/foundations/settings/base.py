"""What all typed settings share: Kedro builds them from the annotations of the nodes' arguments.

So an unknown key or a bad value stops a run before a model is loaded. The base class holds what is
true of every field, so that a new one needs no thought: a number is finite, within what the
libraries behind it hold, and neither a truth value nor a text; a text is one line, and not blank.
"""

import typing
import unicodedata
from typing import Annotated, Any

from annotated_types import Ge, Le, Lt
from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

NO_EFFECT = "no effect"
"""Marks settings of time, memory, money and names: what a step makes does not hang on them.

A change of them is no reason to do a step again (``foundations.settings.marks``). Batch sizes are
among them although they move results by rounding.
"""
FREE_TEXT = "free text"
"""Marks texts that may be empty and have several lines, such as system prompts."""
MODEL = "model"
"""Marks texts that name one of ``models``: what reads the field uses that model."""

MAX_SEED = 2**32 - 1  # numpy's, which transformers, lm-eval and reasoning-gym set
MAX_WHOLE = 2**31 - 1  # of a field without a bound of its own: an int of 32 bits, with its sign
MAX_FLOAT = 1e6  # likewise; seconds, the most sensitive, fit a socket's timeout
MIN_FLOAT = 1e-12  # less than this, and not 0, is a slip that rounds to nothing
MAX_TEXT = 4096  # characters of a line; a path's limit

Seed = Annotated[int, Ge(0), Le(MAX_SEED)]
ModelName = Annotated[str, MODEL]


class Group(BaseModel):
    """Base of all groups: unknown keys are errors, values cannot be changed or of other types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[str(info.field_name)]
        kinds = _kinds(field.annotation)
        if int in kinds and float not in kinds:
            value = [_whole(v) for v in value] if isinstance(value, list) else _whole(value)
        for item in value if isinstance(value, list) else [value]:
            _check_item(item, field, kinds)
        return value


def one_line(text: str) -> bool:
    """Tell whether a text has neither control characters, line ends nor halves of characters."""
    return not any(unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") for c in text)


def _whole(value: Any) -> Any:
    """Return 1e6 as a whole number: YAML has no other way to write it."""
    return int(value) if type(value) is float and value.is_integer() else value


def _kinds(annotation: Any) -> set[Any]:
    """Return the plain types that an annotation names, in lists and alternatives too."""
    if inner := typing.get_args(annotation):
        return set().union(*map(_kinds, inner))
    return {annotation} if isinstance(annotation, type) else set()


def _check_item(value: Any, field: FieldInfo, kinds: set[Any]) -> None:
    if isinstance(value, str) and FREE_TEXT not in field.metadata:
        if not value.strip():
            raise ValueError("must not be empty")
        if not one_line(value):
            raise ValueError("must be one line without control characters")
        if len(value) > MAX_TEXT:
            raise ValueError(f"must not be longer than {MAX_TEXT} characters")
    if type(value) not in (int, float):
        return
    if 0 < value < MIN_FLOAT:
        raise ValueError(f"must be at least {MIN_FLOAT:g}, where it is not 0")
    if any(isinstance(m, Le | Lt) for m in marks_of(field)):
        return
    if float in kinds and int not in kinds and not abs(value) <= MAX_FLOAT:
        raise ValueError(f"must be a finite number of at most {MAX_FLOAT:.0f}")
    if int in kinds and abs(value) > MAX_WHOLE:
        raise ValueError(f"must be at most {MAX_WHOLE}")


def marks_of(field: FieldInfo) -> list[Any]:
    """Return the marks of a field, and of the items of a list or of what may be left out."""
    inner = [m for arg in typing.get_args(field.annotation) for m in typing.get_args(arg)[1:]]
    return [*field.metadata, *inner]
