"""JSON values in Jinja syntax."""

import json
from typing import Any


def literal(value: Any) -> str:
    """Return a JSON value in Jinja syntax."""
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        items = (f"{literal(key)}: {literal(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
