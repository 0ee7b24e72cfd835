"""Checks of every value in the settings, including mappings whose keys we do not define."""

import math
import reprlib
from collections.abc import Mapping
from typing import Any

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import is_unicode
from persyn_kedro.foundations.secrets import VARIABLES, hide

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxlong = _repr.maxother = 80


def check_values(key: str, value: Any) -> None:
    """Refuse what no identity, file or library could represent.

    Raises:
        PersynError: names the key of a lone surrogate (YAML's "\\ud800"), of a NUL character, of a
            number that is not finite or needs more than 64 bits, or of a value that is not a
            string, number, boolean, list or mapping.
    """
    if isinstance(value, str):
        if not is_unicode(value):
            raise PersynError(f"Parameter {key} contains invalid Unicode{it_is(key, value)}.")
        if "\0" in value:
            raise PersynError(f"Parameter {key} contains a NUL character{it_is(key, value)}.")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str):
                raise PersynError(f"Parameter {key}: the name {shown(name)} must be in quotes.")
            check_values(key, name)
            check_values(spoken(f"{key}.{name}"), item)
    elif isinstance(value, list):
        for item in value:
            check_values(key, item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise PersynError(f"Parameter {key} must be a finite number{it_is(key, value)}.")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise PersynError(f"Parameter {key} must fit into 64 bits.")
    elif value is not None and not isinstance(value, (bool, int, float)):
        raise PersynError(
            f"Parameter {key} must be a string, number, list or mapping{it_is(key, value)}."
        )


def it_is(key: str, value: Any) -> str:
    """Return what a refused setting is, for the end of a sentence; "" for a job's variables."""
    return "" if VARIABLES in key.split(".") else f" (it is {shown(value)})"


def shown(value: Any) -> str:
    """Return a value for use in a sentence: on one line, shortened, without secrets."""
    if isinstance(value, int) and value.bit_length() > 64:  # Python may refuse to print it
        return f"a number of {value.bit_length()} bits"
    return _repr.repr(hide(value))


def spoken(key: str) -> str:
    """Return a key for use in a sentence."""
    return key if key.isprintable() and len(key) <= 200 else shown(key)
