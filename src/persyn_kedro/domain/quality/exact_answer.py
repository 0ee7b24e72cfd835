"""Quality 1 or 0: whether the final answer matches the reference (METHOD.md, section 1)."""

import json
import logging
import re
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

from persyn_kedro.domain.quality.answers.clean import clean, words
from persyn_kedro.domain.quality.answers.clock import last_date
from persyn_kedro.domain.quality.answers.comparison import is_figure, same_answer
from persyn_kedro.domain.quality.answers.final_answer import Final, final_answer, readings
from persyn_kedro.domain.quality.answers.quantities import read_quantity, with_figures
from persyn_kedro.domain.quality.answers.sentences import (
    bounds,
    denies,
    stated_number,
    without_contrast,
    without_reason,
)

TIMEOUT_SECONDS = 5
VERSION = 4  # raise it when answers are judged differently

_logger = logging.getLogger(__name__)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:/\d+)?(?![\w])")
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]+)\}\{([^{}]+)\}")
_EXCLAIMED = re.compile(r"(?<=\d)!(?=[\s\"'*)]*$)")
_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|textbf|mathbf)\{([^{}]*)\}")


def exact_answer_quality(
    response: str, reference: str | None, source: str, metadata: str | None
) -> float | None:
    """Return 1.0 if the answer is right, 0.0 if it is wrong or missing, None if unknown.

    A reasoning-gym prompt (its entry is in ``metadata``) is scored by its task's own function, any
    other by the form of its reference: a number, choice, set, formula, word. ``response`` is the
    visible text. None means no reference, or a verifier that crashed or took over
    ``TIMEOUT_SECONDS``; off the main thread, where signals cannot be set, there is no time limit.
    """
    if reference is None:
        return None
    text = response.strip()
    if not text:
        return 0.0
    entry = json.loads(metadata) if metadata else {}
    task = entry.get("metadata", {}).get("source_dataset")
    verify = _task_answer if task else _plain_answer
    return _guarded(source, lambda: verify(text, reference, entry))


def extract_answer(text: str, numeric: bool) -> str:
    r"""Return the final answer that ``text`` states, in plain characters if possible.

    It is what ``final_answer`` finds: the last box, tag or ``####`` line, else the last "the answer
    is …", else the last sentence; empty if that only says what the answer is not. A ``numeric``
    answer that contains one number and other characters, such as ``$1,250$ dollars``, is that
    number; in a sentence it is the last number, unless that is one of "41 or 42".
    """
    final = final_answer(text, numeric)
    if final is None:
        return ""
    plain = _plain(without_reason(final.text) if final.stated else final.text)
    number = stated_number(plain, final.stated) if final.prose else None
    numbers = _NUMBER.findall(plain if not final.prose else number[0] if number else "")
    if numeric and (len(numbers) == 1 or (numbers and final.prose)):
        return numbers[0 if final.prose else -1].replace(",", "").lstrip("+")
    return _plain(_last_line(text)) if final.prose else plain


def _guarded(source: str, verify: Callable[[], bool]) -> float | None:
    from math_verify.errors import TimeoutException
    from math_verify.utils import timeout

    in_main = threading.current_thread() is threading.main_thread()
    try:
        return float(timeout(TIMEOUT_SECONDS if in_main else None)(verify)())
    except (Exception, TimeoutException) as error:  # may raise anything: unknown, not 0
        _logger.warning("The verifier of %s failed: %s: %s", source, type(error).__name__, error)
        return None


def _task_answer(text: str, reference: str, entry: dict[str, Any]) -> bool:
    answer = extract_answer(text, numeric=_NUMBER.fullmatch(reference.strip()) is not None)
    score = _task_scorer(entry["metadata"]["source_dataset"])
    if answer and score(answer, entry) >= 1.0:
        return True
    # Tasks compare words letter by letter: a full stop or a capital is not a wrong answer.
    same_word = words(answer) == words(reference) and not _NUMBER.search(reference)
    return same_word and score(reference, entry) >= 1.0


@cache
def _task_scorer(name: str) -> Callable[[str, dict[str, Any]], float]:
    import reasoning_gym

    return reasoning_gym.get_score_answer_fn(name)


def _plain_answer(text: str, reference: str, entry: dict[str, Any]) -> bool:
    if "####" in reference or "\\boxed" in reference:  # a full solution, as in GSM8K
        stated = final_answer(reference)
        reference = stated.text if stated else reference
    numeric = is_figure(reference)
    final = final_answer(text, numeric)
    if final is None:
        return False
    if any(same_answer(reading, reference) for reading in readings(final, numeric)):
        return True
    return numeric and final.prose and _says(final, reference)


def _says(final: Final, reference: str) -> bool:
    """Return whether the number that a sentence states is the reference ("12 apples are left")."""
    raw = without_contrast(without_reason(final.text) if final.stated else final.text)
    text = clean(_EXCLAIMED.sub("", raw))  # "It is 5!" is not a factorial, $5!$ is
    if date := last_date(text):
        before, _, after = text.rpartition(date)
        return not (denies(text) or bounds(before, after)) and same_answer(date, reference)
    found = stated_number(with_figures(text), final.stated)
    if found is None:
        return False
    number, rest = found
    return same_answer(number if read_quantity(clean(reference)) else rest, reference)


def _last_line(text: str) -> str:
    line = text.strip().splitlines()[-1]
    return re.sub(r"^\W*(?:the\s+)?(?:final\s+)?answer\s*(?:is\b|:)\W*", "", line, flags=re.I)


def _plain(text: str) -> str:
    text = _TEXT_COMMAND.sub(r"\1", _FRACTION.sub(r"\1/\2", text))
    text = re.sub(r"\\[()\[\],!; ]|\$|\*\*", "", text)
    return text.replace("\\%", "%").strip()
