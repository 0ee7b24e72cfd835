"""Quality by a function of the user's own: ``quality(prompt, response, reference)``."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from numbers import Real
from typing import Any, TypeVar

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.plugins import load_function

Key = TypeVar("Key")
log = logging.getLogger(__name__)


def quality_function(kind: str) -> Callable[[str, str, str | None], Any]:
    """Return the function that ``kind`` names.

    Raises:
        PersynError: it is not there, or does not take three arguments.
    """
    return load_function(kind, "prompt", "response", "reference")


def function_scores(
    requests: Iterable[tuple[Key, str, str, str | None]], kind: str
) -> Iterator[tuple[Key, float | None]]:
    """Yield (key, quality) for each (key, prompt, visible response, reference), in order.

    A quality is any finite number, the higher the better. It is None (unknown) where the function
    says so, gives NaN or an infinite number, or raises.

    Raises:
        PersynError: the function returned something else.
    """
    judge = quality_function(kind)
    failures: list[str] = []
    for key, prompt, response, reference in requests:
        try:
            value = judge(prompt, response, reference)
        except Exception as error:  # it may raise anything: unknown, not 0
            failures.append(f"{type(error).__name__}: {error}")
            value = None
        yield key, _number(value, kind)
    if failures:
        log.warning(
            "%s failed on %d responses, whose quality is unknown; the first time with %s",
            kind,
            len(failures),
            failures[0],
        )


def _number(value: Any, kind: str) -> float | None:
    if value is None:
        return None
    if not isinstance(value, Real):
        raise PersynError(f"{kind} returned {value!r}: a quality is a number, or None.")
    return float(value) if math.isfinite(value) else None
