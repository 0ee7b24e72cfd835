"""What all typed settings share. Kedro builds them from the annotations of the nodes' arguments.

An unknown key or a bad value therefore stops a run before a model is loaded. The base class checks
what holds for every field, so that a new field needs no checks of its own: a number is finite,
within the range of the libraries that use it, and neither a boolean nor a string; a string is one
line and not blank.
"""

import typing
import unicodedata
from typing import Annotated, Any

from annotated_types import Ge, Le, Lt
from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

NO_EFFECT = "no effect"
"""Marks settings for time, memory, money and names, which do not affect what a step makes.

Changing one does not make a step run again (``foundations.settings.marks``). Batch sizes are
included although they change results by rounding.
"""
IF_SET = "if set"
"""Marks settings that are left out of identities while they have their default value.

A new setting marked so leaves earlier results valid.
"""
OF_ENGINE = "of the engine"
"""Marks a model's settings that only the engine reads, when it has the model answer."""
AS_GIVEN = "as given"
"""Marks lists and mappings of groups whose other fields have the values around them."""
FREE_TEXT = "free text"
"""Marks strings that may be empty or have several lines, such as system prompts."""
MODEL = "model"
"""Marks strings that name one of ``models``: whatever reads the field uses that model."""
RUBRIC = "rubric"
"""Marks strings that name a judge's rubric, whose text is part of the record."""
FILE = "file"
"""Marks strings that name a file whose content is part of the record."""

MAX_SEED = 2**32 - 1  # numpy's, which transformers, lm-eval and reasoning-gym set
MAX_WHOLE = 2**31 - 1  # for a field without a bound of its own: a signed 32-bit integer
MAX_FLOAT = 1e6  # likewise; the tightest are seconds, which must fit a socket's timeout
MIN_FLOAT = 1e-12  # anything smaller, except 0, is a mistake that rounds to nothing
MAX_TEXT = 4096  # characters in a line; the limit for a path

Seed = Annotated[int, Ge(0), Le(MAX_SEED)]
ModelName = Annotated[str, MODEL]


class Group(BaseModel):
    """Base of all groups: unknown keys are errors, values are immutable and strictly typed."""

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
    """Return whether a string has no control characters, line separators or lone surrogates."""
    if text.isprintable():  # most are, and this is a hundred times as fast
        return True
    return not any(unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") for c in text)


def _whole(value: Any) -> Any:
    """Return 1e6 as an integer: YAML reads this notation as a float."""
    return int(value) if type(value) is float and value.is_integer() else value


def _kinds(annotation: Any) -> set[Any]:
    """Return the plain types in an annotation, including those in lists and unions."""
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
            raise ValueError(f"must have at most {MAX_TEXT} characters")
    if type(value) not in (int, float):
        return
    if 0 < value < MIN_FLOAT:
        raise ValueError(f"must be 0 or at least {MIN_FLOAT:g}")
    if any(isinstance(m, Le | Lt) for m in marks_of(field)):
        return
    if float in kinds and int not in kinds and not abs(value) <= MAX_FLOAT:
        raise ValueError(f"must be a finite number of at most {MAX_FLOAT:.0f}")
    if int in kinds and abs(value) > MAX_WHOLE:
        raise ValueError(f"must be at most {MAX_WHOLE}")


def marks_of(field: FieldInfo) -> list[Any]:
    """Return the marks of a field, including those on list items and on optional values."""
    inner = [m for arg in typing.get_args(field.annotation) for m in typing.get_args(arg)[1:]]
    return [*field.metadata, *inner]
