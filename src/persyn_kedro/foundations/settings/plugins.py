"""Code of the user's own: where a setting names a kind, it may name ``file.py:name`` instead.

Not a way to wire up the project by YAML: four kinds can be one's own (quality, learnability,
router, engine), each is checked against what it must be before a teacher is paid. The file's
content is part of the identity of all that it makes, but for an engine, which is recorded beside
its answers.
"""

import hashlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import AfterValidator

from persyn_kedro.foundations.errors import PersynError

_OWN = re.compile(r"(?P<file>[^:]+\.py):(?P<name>[A-Za-z_]\w*)")


class Kind(AfterValidator):
    """The check of a setting that may name code of the user's own, by which the field is found."""


def kind(*known: str) -> Kind:
    """Return the check of a setting that is one of the ``known`` kinds or ``file.py:name``."""

    def check(value: str) -> str:
        if value in known:
            return value
        if not is_own(value):
            raise ValueError(f"must be {', '.join(known)} or a file.py:name of yours")
        path = Path(value.rpartition(":")[0])
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("code of yours must lie in the project, and be named from there")
        return value

    return Kind(check)


def is_own(kind: str) -> bool:
    """Tell whether a kind is named as ``file.py:name``."""
    return _OWN.fullmatch(kind) is not None


def code_identity(kind: str) -> dict[str, str]:
    """Return the name and the file's SHA-256 of a kind of the user's own, nothing for others.

    What the file imports does not count.

    Raises:
        PersynError: the file is not there.
    """
    if not is_own(kind):
        return {}
    file, _, name = kind.rpartition(":")
    return {"name": name, "sha256": hashlib.sha256(_source(file)).hexdigest()}


def load_own(kind: str) -> Any:
    """Import the file and return what it calls by this name.

    Raises:
        PersynError: the file is not there, cannot be imported or lacks the name.
    """
    file, _, name = kind.rpartition(":")
    module = _module(file, _source(file))
    if not hasattr(module, name):
        raise PersynError(f"{file} has no {name!r}.")
    return getattr(module, name)


def load_function(kind: str, *arguments: str) -> Callable[..., Any]:
    """Return a function of the user's own that takes these arguments, in this order.

    Raises:
        PersynError: as ``load_own``, or it is none.
    """
    import inspect

    found = load_own(kind)
    try:
        inspect.signature(found).bind(*arguments)
    except (TypeError, ValueError) as error:
        raise PersynError(
            f"{kind} is no function that can be called with {', '.join(arguments)}: {error}."
        ) from error
    return found


def _source(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise PersynError(f"{file} cannot be read: {error.strerror}.") from error


def _module(file: str, source: bytes) -> ModuleType:
    """Import just these bytes: a compiled file beside them may be of an older state."""
    name = f"persyn_own_{hashlib.sha256(file.encode() + source).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module  # where dataclasses look for it
    try:
        exec(compile(source, file, "exec"), module.__dict__)  # noqa: S102 - the user's own file
    except Exception as error:  # it may raise anything
        del sys.modules[name]
        raise PersynError(f"{file} cannot be imported: {type(error).__name__}: {error}.") from error
    return module
