"""The user's own code: where a setting names a kind, it may name ``file.py:name`` instead.

This is not a way to wire up the project in YAML: only four kinds can be the user's own (quality,
learnability, router, engine), and each is checked before a teacher is paid. The file's content is
part of the identity of everything it makes, except for an engine, which is recorded with its
answers.
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
    """The check of a setting that may name the user's own code; it also marks the field as such."""


def kind(*known: str) -> Kind:
    """Return the check of a setting that is one of the ``known`` kinds or ``file.py:name``."""

    def check(value: str) -> str:
        if value in known:
            return value
        if not is_own(value):
            raise ValueError(f"must be {', '.join(known)} or your own file.py:name")
        path = Path(value.rpartition(":")[0])
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("your own code must be in the project, and its path relative to it")
        return value

    return Kind(check)


def is_own(kind: str) -> bool:
    """Return whether a kind has the form ``file.py:name``."""
    return _OWN.fullmatch(kind) is not None


def code_identity(kind: str) -> dict[str, str]:
    """Return the name and the file's SHA-256 of the user's own kind, nothing for other kinds.

    Files that it imports do not count.

    Raises:
        PersynError: the file cannot be read.
    """
    if not is_own(kind):
        return {}
    file, _, name = kind.rpartition(":")
    return {"name": name, "sha256": hashlib.sha256(_source(file)).hexdigest()}


def load_own(kind: str) -> Any:
    """Import the file and return what it defines by this name.

    Raises:
        PersynError: the file cannot be read or imported, or does not define the name.
    """
    file, _, name = kind.rpartition(":")
    module = _module(file, _source(file))
    if not hasattr(module, name):
        raise PersynError(f"{file} does not define {name!r}.")
    return getattr(module, name)


def load_function(kind: str, *arguments: str) -> Callable[..., Any]:
    """Return the user's own function, which takes these arguments in this order.

    Raises:
        PersynError: as ``load_own``, or it cannot be called with them.
    """
    import inspect

    found = load_own(kind)
    try:
        inspect.signature(found).bind(*arguments)
    except (TypeError, ValueError) as error:
        raise PersynError(
            f"{kind} is not a function of {', '.join(arguments)}: {error}."
        ) from error
    return found


def _source(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise PersynError(f"Cannot read {file}: {error.strerror}.") from error


def _module(file: str, source: bytes) -> ModuleType:
    """Import exactly these bytes: a compiled file beside them may be stale."""
    name = f"persyn_own_{hashlib.sha256(file.encode() + source).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module  # where dataclasses look it up
    try:
        exec(compile(source, file, "exec"), module.__dict__)  # noqa: S102 - the user's own file
    except Exception as error:  # it may raise anything
        del sys.modules[name]
        raise PersynError(f"Cannot import {file}: {type(error).__name__}: {error}.") from error
    return module
