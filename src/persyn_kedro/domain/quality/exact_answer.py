"""Quality 1 or 0: whether the final answer matches the reference (METHOD.md, section 1)."""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import cache, partial
from importlib.metadata import version
from typing import Any

from persyn_kedro.domain.quality.answers.clean import clean, without_bold, words
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
from persyn_kedro.domain.quality.scorer import Answer, Key, Scorer
from persyn_kedro.domain.quality.time_limit import OutOfTimeError, processor_time
from persyn_kedro.foundations.extras import need
from persyn_kedro.foundations.tables.references import accepted

TIMEOUT_SECONDS = 5
VERSION = 6  # raise it when answers are judged differently

_logger = logging.getLogger(__name__)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:/\d+)?(?![\w])")
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]+)\}\{([^{}]+)\}")
_EXCLAIMED = re.compile(r"(?<=\d)!(?=[\s\"'*)]*$)")
_COMMAND = re.compile(r"\\([A-Za-z]+) ?")
_SIGN_OF = {
    "times": "× ", "cdot": "· ", "div": "÷ ", "le": "≤ ", "leq": "≤ ", "ge": "≥ ", "geq": "≥ ",
    "neq": "≠ ", "neg": "¬", "lnot": "¬", "land": "∧ ", "wedge": "∧ ", "lor": "∨ ", "vee": "∨ ",
    "to": "→ ", "rightarrow": "→ ", "leftrightarrow": "↔ ",
}  # fmt: skip
_IN_PYTHON = str.maketrans("×·÷", "**/")
_POWER = re.compile(r"\^\{([^{}]*)\}")
_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|textbf|mathbf)\{([^{}]*)\}")


class ExactAnswer(Scorer):
    """Compares the answer with the prompt's reference."""

    @property
    def identity(self) -> dict[str, str]:
        """See ``exact_scorer``."""
        return exact_scorer()

    def judges(self, prompt: Mapping[str, Any]) -> bool:
        """Return whether a prompt has a reference."""
        return prompt["reference"] is not None

    def scores(self, answers: Sequence[Answer]) -> Iterator[tuple[Key, float | None]]:
        """Yield 1 for a right answer, 0 for a wrong one."""
        for answer in answers:
            yield answer.key, _of_alternatives(answer.response, answer.prompt)


def exact_scorer() -> dict[str, str]:
    """Return what decides whether an answer is right, for the store's shelf and for records."""
    need("Comparing answers with references", "answers")
    return {
        "kind": "exact_answer",
        "version": str(VERSION),
        "math_verify": version("math-verify"),
        "reasoning_gym": version("reasoning-gym"),
    }


def _of_alternatives(response: str, prompt: Mapping[str, Any]) -> float | None:
    """Return 1 if one of the alternatives is right; unknown if none is and one is unknown."""
    several = accepted(prompt)
    if len(several) < 2:
        return exact_answer_quality(
            response, prompt["reference"], prompt["source"], prompt["metadata"]
        )
    found: float | None = 0.0
    for reference in several:
        quality = exact_answer_quality(response, reference, prompt["source"], None)
        if quality == 1.0:
            return quality
        found = None if quality is None else found
    return found


def exact_answer_quality(
    response: str, reference: str | None, source: str, metadata: str | None
) -> float | None:
    """Return 1.0 if the answer is right, 0.0 if it is wrong or missing, None if unknown.

    A reasoning-gym prompt (its entry is in ``metadata``) is scored by its task's own function,
    unless the answer is its reference, any other by the form of its reference: a number, choice,
    set, formula, word. ``response`` is the visible text. None means no reference, or a verifier
    that crashed or took over ``TIMEOUT_SECONDS`` of processor time (``processor_time``).
    """
    if reference is None:
        return None
    text = response.strip()
    if not text:
        return 0.0
    entry = json.loads(metadata) if metadata else {}
    task = entry.get("metadata", {}).get("source_dataset")
    if task:
        return _guarded(
            source, partial(_task_scorer, task), lambda: _task_answer(text, reference, entry)
        )
    return _guarded(source, _import_algebra, lambda: _plain_answer(text, reference, entry))


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
    return _plain(_last_line(without_bold(text))) if final.prose else plain


def _guarded(source: str, load: Callable[[], object], verify: Callable[[], bool]) -> float | None:
    """Return what ``verify`` says; ``load`` imports what it needs, which is no answer's time."""
    try:
        load()
        with processor_time(TIMEOUT_SECONDS):
            return float(verify())
    except (Exception, OutOfTimeError) as error:  # may raise anything: unknown, not 0
        _logger.warning("The verifier of %s failed: %s: %s", source, type(error).__name__, error)
        return None


def _task_answer(text: str, reference: str, entry: dict[str, Any]) -> bool:
    numeric = _NUMBER.fullmatch(reference.strip()) is not None
    answer = extract_answer(text, numeric)
    if answer == reference.strip() or (numeric and _same_decimal(answer, reference)):
        return True
    score = _task_scorer(entry["metadata"]["source_dataset"])
    if answer and _some_spelling_is_right(answer, entry, score):
        return True
    # Tasks compare words letter by letter: a full stop or a capital is not a wrong answer.
    same_word = words(answer) == words(reference) and not _NUMBER.search(reference)
    return same_word and score(reference, entry) >= 1.0


def _same_decimal(answer: str, reference: str) -> bool:
    """Return whether two numbers with a decimal point in one of them are equal: 5.0 is 5."""
    if "." not in answer + reference:
        return False  # 010 is not 10, nor 2/4 the simplified 1/2
    try:
        return Decimal(answer) == Decimal(reference.strip())
    except InvalidOperation:
        return False


def _some_spelling_is_right(
    answer: str, entry: dict[str, Any], score: Callable[[str, dict[str, Any]], float]
) -> bool:
    r"""Return whether the task takes the answer as it is, or in another spelling.

    One has × for ``\times`` and no full stop, one also ** for ^, one also * for ×.
    """
    signs = _COMMAND.sub(lambda command: _SIGN_OF.get(command[1], command[0]), answer).strip(" .")
    powers = _POWER.sub(r"**(\1)", signs).replace("^", "**")
    python = powers.translate(_IN_PYTHON)
    failures: list[Exception] = []
    spellings = dict.fromkeys((answer, signs, powers, python))
    for spelling in spellings:
        try:
            if score(spelling, entry) >= 1.0:
                return True
        except Exception as error:  # a task cannot read LaTeX
            failures.append(error)
    if len(failures) == len(spellings):
        raise failures[0]
    return False


@cache
def _import_algebra() -> None:
    import latex2sympy2_extended  # noqa: F401
    import math_verify.grader  # noqa: F401


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
    return re.sub(r"^\W*(?:the\s+)?(?:final\s+)?answer\s*(?:is\b|:)[\s:=*]*", "", line, flags=re.I)


def _plain(text: str) -> str:
    text = _TEXT_COMMAND.sub(r"\1", _FRACTION.sub(r"\1/\2", text))
    text = re.sub(r"\\[()\[\],!; ]|\$", "", without_bold(text))
    return text.replace("\\%", "%").strip()
