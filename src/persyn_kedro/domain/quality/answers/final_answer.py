r"""The part of a response that states its final answer.

A marked answer comes first: the last ``\boxed{…}``, ``<answer>…</answer>`` or ``#### …`` that is
not denied at once. Else the last "the answer is …" that is no denial; else the last sentence. What
the text says of other values never counts.
"""

import re
from typing import NamedTuple

_BOX = re.compile(r"\\(?:boxed|fbox)\b")
_BRACES = re.compile(r"\\(?:boxed|fbox)\s*(\{|[^\s{}$\\]+)|\\[{}]|[{}]")
_CUT = re.compile(r"(?:\$|\\\]|\\\))*\s*$")
_TAG = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.S | re.I)
_HASHES = re.compile(r"####[ \t]*(.+)")
_NOT = (
    r"(?:not|never|cannot|can't|isn't|wasn't|aren't|won't|anything but|neither|wrong|incorrect"
    r"|doubt)"
)
_DENIED_AFTER = re.compile(
    rf"^[\s$.,)*\\\]]*(?:(?:is|was|would be|are)\s+{_NOT}|isn't|wasn't)\b", re.I
)
_DENIED_BEFORE = re.compile(rf"\b{_NOT}(?:\s+be)?[\s$(*:\\\[]*$", re.I)
_BETWEEN = re.compile(r"[\s$.\\()\[\]*]*(?:[,;]|and|or|,\s*and|,\s*or|\\quad)?[\s$\\()\[\]*]*")
_SENTENCE = re.compile(r"(?<=[^\sA-Z(][.!?])['\"*)]*\s+(?=\S)|(?<=\d[.!?])\s+|\n+")
_PHRASE = re.compile(
    r"(?:\b(?:answers?|options?|choices?|solutions?|results?)\b[^.:=\n]{0,60}?\s*"
    r"(?:\b(?:is|are|was|be|isn't|aren't)\b|:|=)|^\W*(?:answer|solution)s?\b\W*(?=\S))[\s:*]*",
    re.I,
)
_COPULA = re.compile(
    r".*\b(?:is|are|was|were|be|equals?|isn't|aren't|wasn't|get|gives?|called|named)\b[\s:]*", re.I
)
_FIGURE = re.compile(
    r"(?<![\w.,:^{}\\])-?[$€£¥₹]?\d[\d,.]*(?:\s*(?:x|\*|\\times|\\cdot)\s*10\s*\^\s*\{?[-+]?\d+\}?"
    r"|\s+\d+/\d+)?"
)
_SEVERAL = re.compile(
    r"\d[^\s]*(?:\s+\w+)?\s*(?:,?\s*\b(?:or|and|to)|,)\s*$|(?:[-+*/^<>(]|\\times|\\cdot)\s*$", re.I
)
_DENIAL = re.compile(rf"\b{_NOT}\b|n't\b|\bexcept\b", re.I)
_MATH = re.compile(
    r"\$\$(.+?)\$\$|\$(?=\S)([^$\n]+?)(?<=\S)\$(?!\d)|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.S
)
_PROSE = 4000  # an unmarked answer is looked for in so many characters at the end


class Final(NamedTuple):
    """What is said to be the answer; ``prose`` if it was found in a sentence, without a mark."""

    text: str
    prose: bool


def final_answer(text: str, numeric: bool = False) -> Final | None:
    """Return what the response says its answer is, None if nothing or only what it is not.

    Where a ``numeric`` answer is looked for, sentences without a figure ("Hope this helps!") are
    passed over.
    """
    marked = _marked(text)
    if marked:
        standing = [answer for answer, denied in marked if not denied]
        return Final(standing[-1], False) if standing else None
    stated = _stated(text[-_PROSE:], numeric)
    return None if stated is None else Final(stated, True)


def readings(final: Final) -> list[str]:
    """Return the answer and, of a sentence, ever shorter ends of it that may be the answer alone.

    "So the tallest is Evelyn" → the sentence, "Evelyn". None of them leaves out a part of a list.
    """
    if not final.prose:
        return [final.text]
    found = [final.text]
    if copula := _COPULA.match(final.text):
        rest = final.text[copula.end() :]
        if _DENIAL.search(copula[0][-12:]) or _DENIAL.match(rest):
            return []
        found.append(re.sub(r"^(?:about|approximately|exactly|at|on|the|a|an)\s+", "", rest))
    if maths := list(_MATH.finditer(final.text)):
        alone = not re.search(r"(?:\bor|\band|[$\d)]\s*,)\s*$", final.text[: maths[-1].start()])
        found += [next(filter(None, maths[-1].groups()))] if alone else []
    return found


def denies(text: str) -> bool:
    """Tell whether a sentence says what something is not."""
    return _DENIAL.search(text) is not None


def last_number(text: str) -> str | None:
    """Return the last number of a cleaned sentence, with what follows it ("12 apples left").

    None if the sentence ends in a denial, or the number is one of several ("41 or 42").
    """
    clause = re.split(r"(?<!\d),|, |;|\bso\b|\btherefore\b|\bbut\b", text, flags=re.I)[-1]
    starts = list(_FIGURE.finditer(text))
    if not starts or _DENIAL.search(clause):
        return None
    alone = not _SEVERAL.search(text[: starts[-1].start()])
    return text[starts[-1].start() :] if alone else None


def _marked(text: str) -> list[tuple[str, bool]]:
    boxes = _boxes(text)
    tags = [(m.start(), m.end(), m[1]) for m in _TAG.finditer(text) if not _inside(m, boxes)]
    hashes = [(m.start(), m.end(), m[1]) for m in _HASHES.finditer(text) if "\\boxed" not in m[1]]
    found = sorted([*boxes, *tags, *hashes])
    return [(answer.strip(), _denied(text, start, end)) for start, end, answer in found]


def _inside(tag: re.Match[str], boxes: list[tuple[int, int, str]]) -> bool:
    return any(tag.start() <= start < tag.end() for start, _, _ in boxes)


def _denied(text: str, start: int, end: int) -> bool:
    before = text[max(0, start - 40) : start]
    return bool(_DENIED_AFTER.match(text[end : end + 40]) or _DENIED_BEFORE.search(before))


def _boxes(text: str) -> list[tuple[int, int, str]]:
    """Return (start, end, content); boxes with only a comma or "and" between them are one."""
    whole: list[tuple[int, int, str]] = []
    open_at: list[re.Match[str] | None] = []
    for match in _BRACES.finditer(text):
        if match[0] == "{":
            open_at.append(None)
        elif match[0] == "}":
            if open_at and (box := open_at.pop()):
                whole.append((box.start(), match.end(), text[box.end() : match.start()]))
        elif match[1] == "{":
            open_at.append(match)
        elif match[1]:
            whole.append((match.start(), match.end(), match[1]))
    cut = [box for box in open_at if box][-1:]
    whole = sorted(box for box in whole if not _BOX.search(box[2]))
    rest = [(m.start(), len(text), _CUT.sub("", text[m.end() :].split("\n")[0])) for m in cut]
    return _joined(text, whole) or rest


def _joined(text: str, boxes: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    joined: list[tuple[int, int, str]] = []
    for start, end, content in boxes:
        if joined and _BETWEEN.fullmatch(between := text[joined[-1][1] : start][:40]):
            first, _, before = joined.pop()
            word = " or " if "or" in between else ", "
            joined.append((first, end, content if content == before else before + word + content))
        else:
            joined.append((start, end, content))
    return joined


def _stated(text: str, numeric: bool) -> str | None:
    sentences = [s.strip() for s in _SENTENCE.split(text) if s and s.strip(" \t\n.*")]
    for place, sentence in reversed(list(enumerate(sentences))):
        phrases = list(_PHRASE.finditer(sentence))
        if not phrases:
            continue
        phrase, rest = phrases[-1], sentence[phrases[-1].end() :].strip()
        if not rest and place + 1 < len(sentences):  # "Answer:" and the answer below
            rest = sentences[place + 1]
        if not (_DENIAL.match(rest) or _DENIAL.search(phrase[0])):
            return rest or None
        if but := re.match(r"(?:not|isn't)\b.+?\bbut\s+(?:rather\s+)?(.+)", rest):
            return but[1]
        if place + 1 == len(sentences):
            return None
        sentences = sentences[place + 1 :]
        break
    figures = [s for s in sentences if re.search(r"\d", s)] if numeric else []
    return (figures or sentences or [None])[-1]
