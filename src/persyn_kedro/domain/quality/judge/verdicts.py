"""Read a judge's reply: one JSON object with a ``reason`` and a verdict. Unreadable is unknown."""

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from persyn_kedro.domain.quality.judge.rubric import Rubric

V = TypeVar("V")

_OBJECT = re.compile(r'\{(?=\s*["}])')  # where one can begin; a failed try reads all before it
_NUMBER = r"[-+]?\d+(?:\.\d+)?"


def read_score(reply: str, rubric: Rubric) -> float | None:
    """Return the score, which must be on the rubric's scale."""

    def read(value: Any) -> float | None:
        score = _number(value)
        on_scale = score is not None and rubric.least <= score <= rubric.most
        return score if on_scale else None

    return _the_only(reply, "score", read)


def read_better(reply: str) -> int | None:
    """Return which of two answers is the better one, 1 or 2; 0 if neither is."""

    def read(value: Any) -> int | None:
        found = _number(value)
        return int(found) if found in (0, 1, 2) else None

    return _the_only(reply, "better", read)


def read_ranking(reply: str, count: int) -> tuple[int, ...] | None:
    """Return the numbers 1 to ``count``, the best answer's first."""

    def read(value: Any) -> tuple[int, ...] | None:
        if not isinstance(value, list):
            return None
        numbers = [_number(item) for item in value]
        if sorted(n for n in numbers if n is not None) != list(range(1, count + 1)):
            return None
        return tuple(int(n) for n in numbers if n is not None) if None not in numbers else None

    return _the_only(reply, "ranking", read)


def _the_only(reply: str, key: str, read: Callable[[Any], V | None]) -> V | None:
    """Return the verdict of the reply; None if it has none, an impossible one, or different ones.

    A reply that quotes a verdict beside its own, such as one that an answer contains, has different
    ones. Only what is no JSON object as a whole (truncated, or with a quotation mark too many) is
    read by its key alone.
    """
    objects, rest = _objects(reply)
    values = [found[key] for found in objects if key in found]
    if not values:
        values = [*_loose(reply, key)]
    elif "{" in rest:  # a broken object, of which these may be but what its reason quotes
        values += _loose(rest, key)
    verdicts = [read(value) for value in values]
    if not verdicts or None in verdicts or any(v != verdicts[0] for v in verdicts):
        return None
    return verdicts[0]


def _objects(text: str) -> tuple[list[dict[str, Any]], str]:
    """Return the JSON objects in a text that are in no other, and the text around them."""
    decoder, place = json.JSONDecoder(), _OBJECT.search(text)
    objects: list[dict[str, Any]] = []
    rest, begin = "", 0
    while place:
        start = place.start()
        try:
            found, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            objects.append(found)
            rest, begin = rest + text[begin:start], end
        place = _OBJECT.search(text, end)
    return objects, rest + text[begin:]


def _loose(text: str, key: str) -> Sequence[Any]:
    """Return the values after the key in broken JSON: numbers, or lists of numbers."""
    name = rf"\b{key}\b[\"'*]*\s*[:=][\"'*\s]*"
    lists = re.findall(rf"{name}(\[[-+.\d,\s]*\])", text, re.IGNORECASE)
    numbers = re.findall(rf"{name}({_NUMBER})(?![\d.]*\d)", text, re.IGNORECASE)
    return [[*re.findall(_NUMBER, found)] for found in lists] + numbers


def _number(value: Any) -> float | None:
    """Return a finite number, also one that is written as a text ("7", "7/10")."""
    if isinstance(value, str):
        found = re.fullmatch(rf"\s*({_NUMBER})\s*(?:/\s*\d+)?\s*", value)
        value = float(found[1]) if found else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer of 400 digits
        return None
