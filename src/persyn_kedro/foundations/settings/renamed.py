"""Settings that had another name: read for two minor releases, with one warning."""

import copy
import logging
from collections.abc import Mapping
from typing import Any

# The old place of a key to its new one, both as "group.key.key", such as
# {"route.max_price": "route.budget.max_cost"}. None has been renamed since 0.1.0.
RENAMED: dict[str, str] = {}
log = logging.getLogger(__name__)
_warned: set[str] = set()


def with_new_names(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return raw parameters with renamed keys in their new places, warning once of each.

    A value at the new place counts, if both are given.
    """
    found = copy.deepcopy(dict(raw))
    for old, new in RENAMED.items():
        group, key = _inner(found, old, make=False)
        if group is None or key not in group:
            continue
        value = group.pop(key)
        place, name = _inner(found, new, make=True)
        if place is not None:
            place.setdefault(name, value)
        if old not in _warned:
            _warned.add(old)
            log.warning("Parameter %s is called %s now; the old name will go.", old, new)
    return found


def _inner(raw: dict[str, Any], path: str, make: bool) -> tuple[dict[str, Any] | None, str]:
    """Return the mapping that has the last key of a path, None if there is none; and that key."""
    *groups, key = path.split(".")
    here: Any = raw
    for name in groups:
        here = here.setdefault(name, {}) if make else here.get(name)
        if not isinstance(here, dict):
            return None, key
    return here, key
