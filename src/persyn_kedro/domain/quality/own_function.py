"""Quality by a user's function: ``quality(prompt, response, reference)``.

``prompt`` is the text, of a conversation a transcript. A function with an argument ``messages`` is
given it by name, if it comes after these three and has a default: the prompt's messages, as dicts
of role and content.
"""

import inspect
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeVar

from persyn_kedro.domain.quality.scorer import Answer, Key as AnswerKey, Scorer
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.prompts.conversation import Prompt, as_rows, messages_of
from persyn_kedro.foundations.settings.plugins import code_identity, load_function
from persyn_kedro.foundations.tables.messages import prompt_of
from persyn_kedro.foundations.tables.references import accepted

Key = TypeVar("Key")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OwnFunction(Scorer):
    """Judges by the user's function, ``file.py:name``."""

    kind: str

    @property
    def identity(self) -> dict[str, str]:
        """The function's name and the hash of its file."""
        return {"kind": "own", **code_identity(self.kind)}

    def scores(self, answers: Sequence[Answer]) -> Iterator[tuple[AnswerKey, float | None]]:
        """See ``function_scores``."""
        rows = ((a.key, prompt_of(a.prompt), a.response, accepted(a.prompt)) for a in answers)
        yield from function_scores(rows, self.kind)


def quality_function(kind: str) -> Callable[[str, str, str | None], Any]:
    """Return the function that ``kind`` names.

    Raises:
        PersynError: it does not exist, or does not take three arguments.
    """
    return load_function(kind, "prompt", "response", "reference")


def function_scores(
    requests: Iterable[tuple[Key, Prompt, str, Sequence[str]]], kind: str
) -> Iterator[tuple[Key, float | None]]:
    """Yield (key, quality) for each (key, prompt, visible response, references), in order.

    A quality is any finite number, higher is better; with several references each is tried, and
    the highest counts. It is None (unknown) if for each of them the function says so, gives NaN or
    an infinite number, or raises. Without a reference the function gets None.

    Raises:
        PersynError: the function returned something else.
    """
    judge = quality_function(kind)
    wants_messages = "messages" in [*inspect.signature(judge).parameters][3:]
    failures: list[str] = []
    for key, prompt, response, references in requests:
        found: list[float] = []
        failed = ""
        tried: Sequence[str | None] = references or [None]
        told = {"messages": as_rows(messages_of(prompt))} if wants_messages else {}
        for reference in tried:
            try:
                value = judge(str(prompt), response, reference, **told)
            except Exception as error:  # it may raise anything; then unknown, not 0
                failed = failed or f"{type(error).__name__}: {error}"
                continue
            number = _number(value, kind)
            found += [] if number is None else [number]
        failures += [failed] if failed else []
        yield key, max(found, default=None)
    if failures:
        log.warning(
            "%s failed on %d responses, whose quality is unknown; the first error: %s",
            kind,
            len(failures),
            failures[0],
        )


def _number(value: Any, kind: str) -> float | None:
    if value is None:
        return None
    if not isinstance(value, Real):
        raise PersynError(f"{kind} returned {value!r}; it must return a number or None.")
    return float(value) if math.isfinite(value) else None
