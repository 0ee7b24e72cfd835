"""The letter of a multiple-choice answer: B · (b) · B) 42 · option B."""

import re

from persyn_kedro.domain.quality.answers.clean import words

_REFERENCE = re.compile(r"\(?([A-J])\)?|\(?([A-J])\)\s*(\S.*)|([A-J])[.:]\s+(\S.*)")
_ANSWER = re.compile(
    r"(?:the\s+)?(?:(?:correct|right|best)\s+)?(?:option|choice|answer|letter)?\s*(?:is\s+|:\s*)?"
    r"\(?([A-Ja-j])(?:\)?|[).:,]+\s*(?P<text>.*)|\)\s+(?P<more>.*)|(?<!I)\s+[-:]\s+(?P<last>.*)"
    r"|\)?\s+is\s+(?:the\s+)?(?:correct|right|best)\b.*)",
    re.I,
)
_NAMED = re.compile(
    r"\b(?:choose|chose|select|pick|take|go(?:ing)? with|is|be)\s+(?:option|choice)\s+\(?([A-J])\b",
    re.I,
)
_TWO = re.compile(r"\(?[A-Ja-j]\)?\s*(?:,|and\b|or\b|/|&|-)\s*(?!a\s+\w)\(?[A-Ja-j]\b(?!')")
_ANOTHER = re.compile(r"(?:\b(?:and|or)|[,;/&])\s*(?:\([A-J]\)|[A-J][).:])")


def choice_of_reference(text: str) -> tuple[str, str] | None:
    """Return the letter, and the text after it, if a cleaned reference is a choice.

    Only capitals count: x is a variable.
    """
    match = _REFERENCE.fullmatch(text)
    return (match[1] or match[2] or match[4], match[3] or match[5] or "") if match else None


def chooses(answer: str, letter: str, text: str) -> bool:
    """Return whether a cleaned answer chooses only the reference's letter.

    If both have a text after it, the texts must agree: E. faecalis is not E. coli.
    """
    if _TWO.match(answer) or _ANOTHER.search(answer):
        return False
    if match := _ANSWER.fullmatch(answer):
        said = words(match["text"] or match["more"] or match["last"] or "")
        agrees = not said or not text or said == words(text) or said.startswith(words(text) + ",")
        return match[1].upper() == letter and agrees
    return {name.upper() for name in _NAMED.findall(answer)} == {letter}
