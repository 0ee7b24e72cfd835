"""Quality 1 or 0: is the response's final answer the reference (METHOD.md, section 1)."""

import json
import logging
import re
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

TIMEOUT_SECONDS = 5

_logger = logging.getLogger(__name__)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:/\d+)?(?![\w])")
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]+)\}\{([^{}]+)\}")
_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|textbf|mathbf)\{([^{}]*)\}")
_PROSE = re.compile(r"####|(?<![\\A-Za-z])[A-Za-z]{2,}|^[A-Za-z]$")


def exact_answer_quality(
    response: str, reference: str | None, source: str, metadata: str | None
) -> float | None:
    """Return 1.0 if the answer is right, 0.0 if it is wrong or missing, None if unknown.

    A reasoning-gym prompt (its entry is in ``metadata``) is scored by its task's own function, any
    other by Math-Verify, or as text where the reference is no mathematics. ``response`` is the
    visible text. None also stands for a verifier that crashed or took over ``TIMEOUT_SECONDS``;
    there is no time limit off the main thread, where signals cannot be set.
    """
    if reference is None:
        return None
    text = response.strip()
    if not text:
        return 0.0
    entry = json.loads(metadata) if metadata else {}
    task = entry.get("metadata", {}).get("source_dataset")
    verify = _task_answer if task else _math_answer
    return _guarded(source, lambda: verify(text, reference, entry))


def extract_answer(text: str, numeric: bool) -> str:
    r"""Return the final answer that ``text`` states, in plain characters where that is possible.

    It is what the last balanced ``\boxed{…}`` holds, else the last ``<answer>…</answer>``, else
    the last number (``numeric``) or the last line. A ``numeric`` answer that holds one number and
    other characters, such as ``$1,250$ dollars``, is that number.
    """
    marked = _last_boxed(text)
    if marked is None:
        tags = re.findall(r"<answer>(.*?)</answer>", text, flags=re.DOTALL)
        marked = tags[-1] if tags else None
    numbers = _NUMBER.findall(_plain(text if marked is None else marked))
    if numeric and (len(numbers) == 1 or (numbers and marked is None)):
        return numbers[-1].replace(",", "").lstrip("+")
    return _plain(_last_line(text) if marked is None else marked)


def _guarded(source: str, verify: Callable[[], bool]) -> float | None:
    from math_verify.errors import TimeoutException

    try:
        return float(verify())
    except (Exception, TimeoutException) as error:  # a verifier may raise anything: unknown, not 0
        _logger.warning("the verifier of %s failed: %s: %s", source, type(error).__name__, error)
        return None


def _time_limit() -> int | None:
    in_main = threading.current_thread() is threading.main_thread()
    return TIMEOUT_SECONDS if in_main else None


def _task_answer(text: str, reference: str, entry: dict[str, Any]) -> bool:
    from math_verify.utils import timeout

    answer = extract_answer(text, numeric=_NUMBER.fullmatch(reference.strip()) is not None)
    score = timeout(_time_limit())(_task_scorer(entry["metadata"]["source_dataset"]))
    if score(answer, entry) >= 1.0:
        return True
    # Tasks compare words letter by letter: a full stop or a capital is no wrong answer.
    same_word = _as_text(answer) == _as_text(reference) and not _NUMBER.search(reference)
    return same_word and score(reference, entry) >= 1.0


@cache
def _task_scorer(name: str) -> Callable[[str, dict[str, Any]], float]:
    import reasoning_gym

    return reasoning_gym.get_score_answer_fn(name)


def _math_answer(text: str, reference: str, entry: dict[str, Any]) -> bool:
    from math_verify import parse, verify

    limit = _time_limit()
    gold = parse(_math_reference(reference), parsing_timeout=limit, raise_on_error=True)
    if not gold:
        return _as_text(extract_answer(text, numeric=False)) == _as_text(_plain(reference))
    answer = parse(text, parsing_timeout=limit, raise_on_error=True)
    return verify(gold, answer, timeout_seconds=limit, raise_on_error=True)


def _math_reference(reference: str) -> str:
    """Return the reference as Math-Verify reads it: bare formulas need LaTeX's dollars."""
    reference = re.sub(r"(?<!\\)%", r"\\%", reference.replace("\\$", ""))  # 50%, \$18
    if "$" in reference or "\\boxed" in reference:
        return reference
    text = _TEXT_COMMAND.sub(r"\1", reference).strip()
    return text if "\\" not in text and _PROSE.search(text) else f"${text}$"


def _last_boxed(text: str) -> str | None:
    r"""Return what the last balanced ``\boxed{…}`` holds, or None."""
    for start in reversed([m.end() for m in re.finditer(r"\\boxed\s*\{", text)]):
        depth = 1
        for end in range(start, len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                return text[start:end]
    return None


def _last_line(text: str) -> str:
    line = text.strip().splitlines()[-1]
    return re.sub(r"^\W*(?:the\s+)?(?:final\s+)?answer\s*(?:is\b|:)\W*", "", line, flags=re.I)


def _plain(text: str) -> str:
    text = _TEXT_COMMAND.sub(r"\1", _FRACTION.sub(r"\1/\2", text))
    text = re.sub(r"\\[()\[\],!; ]|\$|\*\*", "", text)
    return text.replace("\\%", "%").strip()


def _as_text(text: str) -> str:
    return " ".join(text.casefold().strip(" \t\n.,;:!\"'()").split())
