"""Write docs/settings.md from the settings' classes: ``python docs/settings_reference.py``."""

import re
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo
from typing_extensions import is_typeddict

from persyn_kedro.foundations.settings.base import NO_EFFECT
from persyn_kedro.foundations.settings.read import GROUPS
from persyn_kedro.foundations.settings.routers import KINDS, TrainRouterSettings

HEAD = """\
# Settings

Every group of `conf/`, generated from the code by `python docs/settings_reference.py`; a test fails
if this page differs from the code. A key in **bold** is required. *Redo* says whether a change
makes the steps that read the key run again: settings for time, memory, money and names do not.
`seed`, an integer from 0 to 4294967295, is beside the groups and affects everything.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([HEAD, *(section(name, kind) for name, kind in GROUPS.items())])


def section(name: str, kind: type[BaseModel]) -> str:
    """Return a group's heading, sentence and table."""
    by_name = issubclass(kind, RootModel)
    item = typing.get_args(kind.model_fields["root"].annotation)[1] if by_name else kind
    sentence = re.sub(r"``([^`]*)``", r"`\1`", " ".join((kind.__doc__ or "").split()))
    prefix = f"{name}.<name>" if by_name else name
    lines = [f"## {name}", "", sentence, "", "| key | type | default | meaning | redo |"]
    lines += ["|---|---|---|---|---|", *rows(prefix, item.model_fields)]
    for kinds, own in _of_kinds().items() if kind is TrainRouterSettings else ():
        lines += rows(prefix, own, meaning=f"{', '.join(kinds)} only: ")
    return "\n".join([*lines, ""])


def _of_kinds() -> dict[tuple[str, ...], dict[str, FieldInfo]]:
    """Return the keys of some kinds of router alone, by the kinds that have them."""
    found: dict[tuple[str, ...], dict[str, FieldInfo]] = {}
    common = TrainRouterSettings.model_fields
    for settings in KINDS.values():
        for name, field in settings.model_fields.items():
            kinds = tuple(k for k, other in KINDS.items() if name in other.model_fields)
            if name not in common:
                found.setdefault(kinds, {}).setdefault(name, field)
    return found


def rows(
    prefix: str, fields: Mapping[str, FieldInfo], effect: bool = True, meaning: str = ""
) -> Iterator[str]:
    """Yield a table row for each key, including nested settings.

    ``meaning``: a prefix for each key's meaning.
    """
    for name, field in fields.items():
        key, own = f"{prefix}.{name}", effect and NO_EFFECT not in field.metadata
        nested, many = _nested(field.annotation)
        if nested is None or field.default is None or many or _is_choice(field.annotation):
            yield _row(key, field, own, meaning)
        if nested is not None:
            yield from rows(f"{key}[]" if many else key, nested.model_fields, own)


def _row(key: str, field: FieldInfo, effect: bool, meaning: str) -> str:
    shown = f"**`{key}`**" if field.is_required() else f"`{key}`"
    default = (
        "" if field.is_required() else f"`{_value(field.get_default(call_default_factory=True))}`"
    )
    cells = [
        shown,
        f"`{_type(field)}`",
        default,
        meaning + (field.description or ""),
        "yes" if effect else "no",
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _nested(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the settings in a field, and whether it is a list of them; of a choice, the widest."""
    if _is_choice(annotation):
        return max(_choices(annotation), key=lambda kind: len(kind.model_fields)), False
    for part in (annotation, *typing.get_args(annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part, typing.get_origin(annotation) is list
    return None, False


def _is_choice(annotation: Any) -> bool:
    """Return whether a field is settings, or a list of them."""
    return len(_choices(annotation)) > 1


def _choices(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for part in typing.get_args(annotation) for kind in _choices(part)]


def _type(field: FieldInfo) -> str:
    text = _name(field.annotation)
    limits = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{sign} {getattr(mark, name):g}"
        for mark in field.metadata
        for name, sign in limits.items()
        if getattr(mark, name, None) is not None
    ]
    return ", ".join([text, *bounds])


def _name(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _name(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join("none" if a is type(None) else _name(a) for a in arguments)
    if origin is typing.Literal:
        return " or ".join(map(str, arguments))
    if origin in (list, tuple):
        return f"list of {_name(arguments[0])}"
    if origin is dict or is_typeddict(annotation):
        return "mapping"
    names = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
    found = getattr(annotation, "__name__", str(annotation))
    return names.get(found, "settings" if _nested(annotation)[0] else found)


def _value(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "as below"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else str(value)


if __name__ == "__main__":
    Path(__file__).with_name("settings.md").write_text(page(), encoding="utf-8")
