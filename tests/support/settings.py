"""Settings of a whole project, as short as can be; a test puts what it is about over them."""

from typing import Any

from persyn_kedro.foundations.settings.read import GROUPS

SHORTEST: dict[str, Any] = {
    "seed": 1,
    **{name: {} for name in GROUPS},
    "models": {"a": {"random": "chat"}, "b": {"random": "base"}},
    "teachers": {"x": {"model": "a"}, "y": {"model": "b"}},
    "student": {"model": "a"},
    "prepare": {"source": {"file": "p.jsonl"}},
    "train_router": {"backbone": "a"},
}
