"""The letter of a multiple-choice answer: B · (b) · B) 42 · option B."""

import re

_REFERENCE = re.compile(r"\(?([A-J])\)?|\(?([A-J])\)\s*\S.*|([A-J])[.:]\s+\S.*")
_ANSWER = re.compile(
    r"(?:the\s+)?(?:(?:correct|right|best)\s+)?(?:option|choice|answer|letter)?\s*(?:is\s+|:\s*)?"
    r"\(?([A-Ja-j])(?:\)?|[).:,]+\s*.*|\)\s+.*|\s+[-:]\s+.*"
    r"|\)?\s+is\s+(?:the\s+)?(?:correct|right|best)\b.*)",
    re.I,
)
_NAMED = re.compile(r"\b(?:option|choice)\s+\(?([A-J])\b", re.I)


def choice_of_reference(text: str) -> str | None:
    """Return the letter if a cleaned reference is a choice (capitals only: x is a variable)."""
    match = _REFERENCE.fullmatch(text)
    return next(filter(None, match.groups())) if match else None


def choice_of_answer(text: str) -> str | None:
    """Return the one letter that a cleaned answer chooses, None if it chooses none or several."""
    if re.match(r"\(?[A-Ja-j]\)?\s*(?:,|and\b|or\b|/|&)\s*\(?[A-Ja-j]\b(?!')", text):
        return None
    if match := _ANSWER.fullmatch(text):
        return match[1].upper()
    named = set(_NAMED.findall(text))
    return named.pop().upper() if len(named) == 1 else None
