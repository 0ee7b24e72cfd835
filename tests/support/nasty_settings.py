"""Settings that reach each field, with any value put in."""

from typing import Any

from tests.support.settings import SHORTEST

ENDPOINT = {"url": "http://h/v1", "model": "m"}
# Has a value wherever a group lies in another, so that each field of it is reached.
RICH: dict[str, Any] = {
    **SHORTEST,
    "models": {"a": {"random": "chat"}, "b": {"random": "base"}, "e": {"endpoint": ENDPOINT}},
    "prepare": {"source": {"tasks": [{"name": "chain_sum", "size": 3, "config": {"n": 1}}]}},
    "train_router": {  # has the keys of every kind
        "kind": "mine.py:Router",
        "backbone": "a",
        "members": [{"kind": "knn"}],
    },
}


def with_value(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return a copy of RICH with the value at the path; what is not on it is shared."""
    raw: dict[str, Any] = RICH.copy()
    at: Any = raw
    for part in path[:-1]:
        inner = at[part] if isinstance(at, list) else at.get(part, {})
        at[part] = inner.copy()
        at = at[part]
    at[path[-1]] = value
    return raw
