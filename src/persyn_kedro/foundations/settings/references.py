"""The models and user code that settings refer to, found by their fields' annotations."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, RootModel

from persyn_kedro.foundations.settings.base import FILE, MODEL, NO_EFFECT, RUBRIC, marks_of
from persyn_kedro.foundations.settings.plugins import Kind, is_own


def models_named(value: Any, fields: tuple[str, ...] | None = None) -> dict[str, str]:
    """Return the models that a group of settings uses, by the keys that name them.

    Args:
        fields: the fields to read; None: all.
    """
    return dict(_named(value, lambda mark: mark == MODEL, fields))


def rubrics_named(value: Any, fields: tuple[str, ...] | None = None) -> list[str]:
    """Return each judge's rubric in a group of settings."""
    return [name for _, name in _named(value, lambda mark: mark == RUBRIC, fields)]


def files_named(value: Any, fields: tuple[str, ...] | None = None) -> list[str]:
    """Return each file in a group of settings whose content counts."""
    return [name for _, name in _named(value, lambda mark: mark == FILE, fields)]


def own_code_named(value: Any, fields: tuple[str, ...] | None = None) -> list[str]:
    """Return each ``file.py:name`` in a group of settings that affects results."""
    kinds = _named(value, lambda mark: isinstance(mark, Kind), fields)
    return [kind for _, kind in kinds if is_own(kind)]


def _named(
    value: Any, wanted: Callable[[Any], bool], fields: tuple[str, ...] | None = None, key: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield key and value of each field with a wanted mark; a pool is read as a whole.

    Of groups in a list or mapping only the given fields count: others have the values around them.
    """
    if isinstance(value, RootModel):
        for name, item in value.root.items():
            yield from _named(item, wanted, None, f"{key}{name}.")
    elif isinstance(value, (list, dict)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items:
            given = tuple(item.model_fields_set) if isinstance(item, BaseModel) else None
            yield from _named(item, wanted, given, f"{key}{name}.")
    elif isinstance(value, BaseModel):
        for name, marks in _marks(type(value)):
            if fields is not None and name not in fields:
                continue
            inner = getattr(value, name)
            if any(map(wanted, marks)):
                texts = inner if isinstance(inner, list) else [inner]
                yield from ((f"{key}{name}", text) for text in texts if text is not None)
            elif isinstance(inner, (BaseModel, list, dict)):
                yield from _named(inner, wanted, None, f"{key}{name}.")


@cache
def _marks(group: type[BaseModel]) -> list[tuple[str, list[Any]]]:
    """Return the fields that affect results, each with its marks."""
    fields = group.model_fields.items()
    return [(name, marks_of(field)) for name, field in fields if NO_EFFECT not in field.metadata]
