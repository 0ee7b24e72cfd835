r"""What a sentence really asserts, and the one number that it states.

In doubt a sentence states nothing: a number counts only if nothing before it ("at least", "half
of", ``\ln``) and nothing after it ("squared", "or", ``+``) makes it part of something else.
"""

import re

from persyn_kedro.domain.quality.answers.equations import unsolved

NOT = (
    r"(?:not|never|cannot|can't|isn't|wasn't|aren't|won't|anything but|neither|wrong|incorrect"
    r"|doubt|no longer|hardly|scarcely|nowhere near|unlikely|impossible)"
)
DENIAL = re.compile(rf"\b{NOT}\b|n't\b|\b(?:except|far from)\b", re.I)
_REPORTED = re.compile(
    r"^\W*(?:suppose|assume)\b(?!.*,)|\b(?:whether|false that|no one|nobody|used to|formerly"
    r"|opposite|mistakes?|mistaken(?:ly)?|fails?"
    r"|too (?:small|large|big|low|high|few|many|much|short|long)"
    r"|(?:many|some|most|people|students|he|she|they|you)\b[\w ]{0,20}"
    r"\b(?:thinks?|says?|believes?|claims?|guess|might)|one (?:might|could|may))\b",
    re.I,
)
RETRACTED = re.compile(
    r"(?<!if )(?<!whether )\b(?:that|this|it|they|which|I)\b"
    r"(?:'s|'m|\s+(?:is|was|are|were|am|made))\s+(?:\w+\s+)?"
    r"(?:wrong|incorrect|mistaken?|error|false|not (?:right|correct|true))\b"
    r"|\bI (?:misread|miscounted|miscalculated)\b",
    re.I,
)
SECOND_THOUGHT = re.compile(
    r"\W*(?:(?:but|oh|and),?\s+)*(?:no(?=[,:.!])|(?:actually|wait|sorry|oops|correction|hmm"
    r"|hold on|hang on|on (?:further |closer )?(?:reflection|inspection)|on second thought)\b)",
    re.I,
)
_SUPPOSED = re.compile(
    r"\b(?:suppos(?:e|ing)|assum(?:e|ing)|imagine|if)\b(?:\s+(?!then\b)\w+){0,4}\s*$", re.I
)
_CLAUSE = re.compile(r"(?<!\d),|, |[;:]|\bso\b|\btherefore\b|\bhence\b|\bthus\b|\bbut\b", re.I)
_REASON = re.compile(
    r",?\s+(?:because|since|given|when|if)\b.*|\s+\((?=[A-Za-z]{3,}[ ).:]).*", re.I | re.S
)
_CASES = re.compile(r"\b(?:else|otherwise)\b|\b(?:if|when)\b.*\b(?:if|when)\b", re.I | re.S)
_CONTRAST = re.compile(
    r"(?:,\s+(?:and\s+)?not|,?\s+(?:rather than|instead of))\s+(?!.*\bbut\b)[^,;]*$", re.I
)
_ASIDE = re.compile(
    r"^\W*(?:with|since|given|for|if|when|as|because|using|from|by|where)\b.*?=\s*\S*\d\S*,\s", re.I
)
_FIGURE = re.compile(
    r"(?<![\w.,:^{}\\])-?[$€£¥₹]?\d(?:[\d,.]*\d)?(?:[eE][-+]?\d+)?"
    r"(?:\s*(?:x|\*|\\times|\\cdot)\s*10\s*\^\s*\{?[-+]?\d+\}?|\s*/\s*\d+|\s+\d+/\d+)?"
    r"(?:%|\s?[€£¥₹]|\^\\circ(?:\s?[CF]\b)?)?"
)
_SEVERAL = re.compile(
    r"\d[^\s]*(?:\s+\w+)?\s*(?:,?\s*\b(?:or|and|to)|[,;:])\s*(?:[A-Za-z]\w*\s*=\s*)?$"
    r"|(?:[-+*/^<>(]|\\times|\\cdot)\s*$",
    re.I,
)
OPERATORS = (  # words that make a number part of an expression, a range or a fraction
    r"(?:to|and|or|plus|minus|times|divided|multiplied|over|mod|modulo|choose|squared|cubed|factorial|pi|root"
    r"|sqrt|sin|cos|tan|cot|sec|csc|ln|log|exp|less|fewer|greater|through|out"
    r"|halves|thirds|quarters|fourths|fifths|sixths|sevenths|eighths|ninths|tenths|hundredths"
    r"|thousandths|millionths|BC|BCE|AD|CE)"
)
_PART_BEFORE = re.compile(
    r"(?:\b(?:negative|half|twice|thrice|double|triple|than|under|above|below|between|maybe|least"
    r"|most|perhaps|possibly|almost|nearly|close to|exceeds?|up to|(?:divided|multiplied) by"
    rf"|(?!to\b|and\b|or\b){OPERATORS})"
    r"|(?<!total )(?<!sum )(?<!value )(?<!answer )\bof|(?<![\w'])[B-HJ-Zb-hj-z]|\\[A-Za-z]+)\s*$",
    re.I,
)
_CLEAR_BEFORE = re.compile(r"(?:^|[A-Za-z=≈:\"',;.!?—])\s*$")
_CLEAR_AFTER = re.compile(
    rf"$|[.,;?\"')—]+(?:\s|$)|\s+[,—]|\s+(?!{OPERATORS}\b)(?:[A-Za-z]{{2,}}|[mgshltJNWVAK])"
    r"\b(?![({_=])",
    re.I,
)
_OTHERS = re.compile(
    r",\s*-?\d|\b(?:else|otherwise)\b|^\s+(?:\w+ ){0,2}at (?:most|least)\b"
    r"|\bbut\b.*\d|\b(?:or|and|maybe|perhaps|possibly|to|than)\s+\S*\d",
    re.I,
)
_BOUND = re.compile(r"\b(?:before|after|until)\s+$", re.I)
_COUNTED = re.compile(rf"\s+(?!(?:{OPERATORS}|in|on)\b)[a-z]")  # after 15 minutes is no bound
_UNIT = re.compile(r"(?:\s+[A-Za-z][A-Za-z/]*(?:\^\{?\d\}?)?)+")
_NO_UNIT = re.compile(
    rf"\s(?:{OPERATORS}|in|on|of|for|at|is|are|was|were|it|he|she|we|they|with|from|by|as|which|that"
    r"|than|not|but|if|when)\b.*",
    re.I,
)


def denies(text: str) -> bool:
    """Return whether a sentence says what something is not."""
    return DENIAL.search(text) is not None


def in_earnest(text: str) -> bool:
    """Return whether a sentence asserts something, rather than a mistake or hearsay."""
    return _REPORTED.search(text) is None


def introduces(before: str) -> bool:
    """Return whether the text before "the answer is" lets it state the answer."""
    clause = _CLAUSE.split(before)[-1]
    return not denies(clause) and in_earnest(clause) and not _SUPPOSED.search(clause)


def without_reason(text: str) -> str:
    """Return a statement without its reason or condition ("because …", "when …", "(see …)").

    One with two cases ("if x is even, else 43") stays whole.
    """
    found = _REASON.search(text)
    return text if found and _CASES.search(found[0]) else _REASON.sub("", text)


def without_contrast(text: str) -> str:
    """Return a statement without what it says is not so at its end (", not 41")."""
    return _CONTRAST.sub("", text)


def bounds(before: str, after: str) -> bool:
    """Return whether what stands between only is a bound: before 1960, but not after 15 minutes."""
    return bool(_BOUND.search(before) and not _COUNTED.match(after))


def stated_number(text: str, first: bool) -> tuple[str, str] | None:
    """Return the number, with its unit, that a cleaned sentence states, and the text from there on.

    After "the answer is" the ``first`` number counts, else the last ("so she has 12 apples left").
    None if the sentence denies it, reports it, or names it as a part or as one of several.
    """
    figures = list(_FIGURE.finditer(text))
    if not figures or not in_earnest(text):
        return None
    figure = figures[0 if first else -1]
    before, after = text[: figure.start()], text[figure.end() :]
    rest = text[figure.start() :]
    if denies(before + after if first else _CLAUSE.split(text)[-1]):
        return None
    if _SEVERAL.search(_ASIDE.sub("", before)) or bounds(before, after):
        return None
    if "=" in before and unsolved(_CLAUSE.split(before)[-1].split("=")[0]):
        return None
    if _PART_BEFORE.search(before) or not _CLEAR_BEFORE.search(before) or _OTHERS.search(after):
        return None
    if not _CLEAR_AFTER.match(after):
        return rest, rest
    unit = _UNIT.match(after)
    words = _NO_UNIT.sub("", unit[0]).split()[:4] if unit else []
    if unit and words == unit[0].split() and re.match(r"\s+\d", after[unit.end() :]):
        return None  # 5 feet 3 inches
    return " ".join([figure[0], *words]), rest
