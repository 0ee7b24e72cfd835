"""References: what a file may contain as one, and alternatives, any of which is right.

A row of ``schemas.PROMPTS`` with alternatives has the first one as its ``reference`` and all of
them in its ``metadata``, a JSON object with the key ``alternatives``; other rows are unaffected.
"""

import json
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any

from persyn_kedro.foundations.tables.code_tests import TESTS, Test

_KEY = "alternatives"


def reference_texts(value: Any) -> list[str]:
    """Return the distinct texts of a file's value; none if it is missing or blank.

    An integer is written without a fraction (5.0 is "5"); a list stands for its items.

    Raises:
        ValueError: it is an object, a nested list, bytes or the like; the text completes a sentence
            that begins with "The reference of row 1".
    """
    value = value.tolist() if hasattr(value, "tolist") else value  # a NumPy array
    if isinstance(value, (list, tuple)):
        items = [item.tolist() if hasattr(item, "tolist") else item for item in value]
        if any(isinstance(item, (list, tuple, Mapping)) for item in items):
            raise ValueError(
                "is a list that contains lists or objects; a list may contain only texts or "
                "numbers, any of which is right"
            )
        texts = [_text(item) for item in items]
    else:
        texts = [_text(value)]
    return list(dict.fromkeys(text for text in texts if text is not None))


def stored(texts: list[str], tests: list[Test] | None = None) -> dict[str, str | None]:
    """Return the columns ``reference`` and ``metadata`` of a row: alternatives, tests of code."""
    told = {**({_KEY: texts} if len(texts) > 1 else {}), **({TESTS: tests} if tests else {})}
    metadata = json.dumps(told, ensure_ascii=False) if told else None
    return {"reference": texts[0] if texts else None, "metadata": metadata}


def accepted(row: Mapping[str, Any]) -> list[str]:
    """Return all references of a row of ``schemas.PROMPTS``, any of which is right; may be none."""
    if row["reference"] is None:
        return []
    metadata = row.get("metadata")
    found = json.loads(metadata).get(_KEY) if metadata and _KEY in metadata else None
    return found if isinstance(found, list) else [row["reference"]]


def spoken(row: Mapping[str, Any]) -> str | None:
    """Return the reference for display: alternatives are joined by "or"."""
    return " or ".join(accepted(row)) or None


def _text(value: Any) -> str | None:
    if value is None or value != value:  # NaN: a float column's missing value
        return None
    if isinstance(value, Mapping):
        keys = ", ".join(map(str, value))
        raise ValueError(
            f"is an object (keys: {keys or 'none'}); name one of them as "
            "reference_column: column.key"
        )
    if isinstance(value, (float, Decimal)):
        return _number(value)
    if not isinstance(value, (str, int, date, time)):  # a datetime is a date, a bool an int
        raise ValueError(f"is of type {type(value).__name__}; it must be text or a number")
    text = str(value)
    return text if text.strip() else None


def _number(value: float | Decimal) -> str:
    """Write an integer as one, with its shortest digits: 1e21, not its double's expansion."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    if exact.is_finite() and exact == exact.to_integral_value():
        return str(int(exact))
    return str(value)
