"""The letter of a multiple-choice answer: B · (b) · B) 42 · option B."""

import re

from persyn_kedro.domain.quality.answers.clean import words
from persyn_kedro.domain.quality.answers.sentences import RETRACTED, SECOND_THOUGHT, denies

_REFERENCE = re.compile(r"\(?([A-J])\)?|\(?([A-J])\)\s*(\S.*)|([A-J])[.:]\s+(\S.*)")
_ANSWER = re.compile(
    r"(?:(?:so|thus|hence|therefore),?\s+)?"
    r"(?:the\s+)?(?:(?:correct|right|best)\s+)?(?:option|choice|answer|letter)?\s*(?:is\s+|:\s*)?"
    r"\(?([A-Ja-j])(?:\)?|[).:,]+\s*(?P<text>.*)|\)\s+(?P<more>.*)|(?<!I)\s+[-:]\s+(?P<last>.*)"
    r"|\)?\s+is\s+(?:the\s+)?(?:correct|right|best)\b.*)",
    re.I,
)
_NAMED = re.compile(
    r"\b(?i:choose|chose|select|pick|take|go(?:ing)? with|is|be)\s+(?i:option|choice)\s+"
    r"\(?([A-J])\b"
    r"|\b(?i:choose|chose|select|pick|go(?:ing)? with)\s+"
    r"\(?([A-J])\b(?!\s+(?!because\b|since\b)[a-z])"
    r"|\(?\b([A-J])\)?\s+(?i:is)\s+(?i:the\s+)?(?i:correct|right|best)\b"
)
_TWO = re.compile(r"\(?[A-Ja-j]\)?\s*(?:,|and\b|or\b|/|&|-)\s*(?!a\s+\w)\(?[A-Ja-j]\b(?!')")
_ANOTHER = re.compile(r"(?:\b(?:and|or)|[,;/&])\s*(?:\([A-J]\)|[A-J][).:])")
# A letter on its own, not the article "A dog", the pronoun "I think", or a name as in "vitamin C".
_LETTER = re.compile(
    r"(?:^|[^\w\s'-]\s*|\b(?:and|or|but|not|else|so|both|also|option|choice|answer|is|be|choose|pick"
    r"|select|with|about|however|though|than|while|although)\s+)"
    r"\(?(?-i:(?!A\s+(?!is\b|was\b|if\b|and\b|or\b|but\b|as\b)[a-z])(?!I\s*['a-z])([A-J]))"
    r"(?![\w']|\s*[=^_+*/<>{\\])",
    re.I,
)
# An option whose text names others, such as "C. A and B".
_OF_OTHERS = re.compile(
    r"\(?([A-J])[).:]\s+(?:both\s+)?[A-J](?:\s*,\s*[A-J])*\s*,?\s+(?:and|or)\s+[A-J](?:\s+only)?\.?"
)
_CLAUSES = re.compile(r"[,;:]\s|\.\s+(?=[A-Z(])|\b(?:but|while|although|though|however)\b", re.I)
_SET_ASIDE = re.compile(r"\b(?:unsure|tempting|tempted|(?:could|might|may) be)\b", re.I)


def choice_of_reference(text: str) -> tuple[str, str] | None:
    """Return the letter, and the text after it, if a cleaned reference is a choice.

    Only capitals count: x is a variable.
    """
    match = _REFERENCE.fullmatch(text)
    return (match[1] or match[2] or match[4], match[3] or match[5] or "") if match else None


def chooses(answer: str, letter: str, text: str) -> bool:
    """Return whether a cleaned answer chooses only the reference's letter.

    If both have a text after it, the texts must agree: E. faecalis is not E. coli. Another letter
    may only be named to set it aside ("B, but I was unsure about C").
    """
    if (option := _OF_OTHERS.fullmatch(answer)) and not text:
        return option[1] == letter
    if _TWO.match(answer) or _ANOTHER.search(answer):
        return False
    standing = [clause for clause in _CLAUSES.split(answer) if not _sets_aside(clause)]
    if any(found != letter for clause in standing for found in _LETTER.findall(clause.strip())):
        return False
    if (match := _ANSWER.fullmatch(answer)) and match[1].upper() == letter:
        said = words(match["text"] or match["more"] or match["last"] or "")
        agrees = not said or not text or said == words(text) or said.startswith(words(text) + ",")
        return agrees and not _takes_back(said)
    named = {found for clause in standing for each in _NAMED.findall(clause) for found in each}
    return named - {""} == {letter}


def _takes_back(said: str) -> bool:
    return bool(SECOND_THOUGHT.match(said) or RETRACTED.search(said))


def _sets_aside(clause: str) -> bool:
    return denies(clause) or bool(_SET_ASIDE.search(clause) and not re.search(r"\balso\b", clause))
