r"""The part of a response that states its final answer.

A marked answer comes first: the last ``\boxed{…}``, ``<answer>…</answer>`` or ``#### …`` that is
not retracted at once. Otherwise the last "the answer is …" that is not a denial; otherwise the last
sentence. Other values mentioned in the text never count.
"""

import re
from typing import NamedTuple

from persyn_kedro.domain.quality.answers.clean import clean, without_bold
from persyn_kedro.domain.quality.answers.sentences import (
    DENIAL,
    NOT,
    RETRACTED,
    SECOND_THOUGHT,
    denies,
    in_earnest,
    introduces,
    without_contrast,
    without_reason,
)

_BOX = re.compile(r"\\(?:boxed|fbox)\b")
_BRACES = re.compile(r"\\(?:boxed|fbox)\s*(\{|[^\s{}$\\]+)|\\[{}]|[{}]")
_CUT = re.compile(r"(?:\$|\\\]|\\\))*\s*$")
_TAG = re.compile(r"<(?:final_)?answer>(.*?)(?:</(?:final_)?answer>|\Z)", re.S | re.I)
_JSON = re.compile(
    r'\{[^{}]*?"(?:final_)?answer"\s*:\s*(?:"([^"]*)"|(\[[^\[\]]*\]|[^",{}\[\]]+))\s*[,}]'
)
_CALCULATOR = re.compile(r"<<[^<>=]*=[^<>]*>>")  # GSM8K's: 48+24 = <<48+24=72>>72
_LABEL = re.compile(
    r"\W*(?:the\s+)?(?:(?:final|correct)\s+)?answer\s*(?:is\b|:|=)\W*?(?=[\w\\$-])", re.I
)
_HASHES = re.compile(r"####[ \t]*(.+)")
_DENIED_AFTER = re.compile(
    rf"^[\s$.,)*\\\]]*(?:(?:is|was|would be|are)\s+(?:{NOT}|invalid|extraneous|rejected|ruled out)"
    r"|isn't|wasn't|(?:cannot|can't|could(?: not|n't)) be|(?:must|should|has to|can) be"
    r" (?:rejected|discarded|excluded|ruled out|wrong)|(?:does not|doesn't) (?:work|fit)|fails)\b",
    re.I,
)
_DENIED_BEFORE = re.compile(rf"\b{NOT}(?:\s+be)?[\s$(*:\\\[]*$", re.I)
_BETWEEN = re.compile(r"[\s$.\\()\[\]*]*(?:[,;]|and|or|,\s*and|,\s*or|\\quad)?[\s$\\()\[\]*]*")
_SENTENCE = re.compile(r"(?<=[^\sA-Z(][.!?])['\"*)]*\s+(?=\S)|(?<=\d[.!?])\s+|\n+")
_PHRASE = re.compile(
    r"(?:\b(?:answers?|options?|choices?|solutions?|results?)\b[^.:=\n]{0,60}?\s*"
    r"(?:\b(?:is|are|was|be|isn't|aren't)\b|(?<!option [A-J])(?<!choice [A-J]):|=)"
    r"|^\W*(?:answer|solution)s?\b\W*(?=\S))[\s:*]*",
    re.I,
)
_COPULA = re.compile(
    r".*\b(?:is|are|was|were|be|equals?|isn't|aren't|wasn't|get|gives?|called|named"
    r"|(?:it|that|this|he|she)'s)\b[\s:]*",
    re.I,
)
_ANOTHER = re.compile(  # behind a mark, which it prevails over
    r"\b(?:the|my)\s+(?:\w+\s+)?answer\s+(?:is|should be|must be)[\s:*]+"
    r"(?:[-$\\\d]|\(?(?-i:[A-J])\b(?!\s+[a-z]))",
    re.I,
)
_ANEW = re.compile(r"\b(?:it is|it's|it should be|answer|result)\b", re.I)
_MATH = re.compile(
    r"\$\$(.+?)\$\$|\$(?=\S)([^$\n]+?)(?<=\S)\$(?!\d)|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.S
)
_VERDICT = re.compile(
    r"(?:the\s+)?(?:correct|right|best)(?: (?:answer|choice|option|one))?\W*", re.I
)
_EXPLANATION = re.compile(r"\W*(?:explanation|reasoning|justification|rationale)\b", re.I)
_PROSE = 4000  # characters at the end in which an unmarked answer is searched


class Final(NamedTuple):
    """The stated answer; ``prose`` if it was found in a sentence, without a mark.

    ``stated`` if the text is what follows "the answer is".
    """

    text: str
    prose: bool
    stated: bool = False


def final_answer(text: str, numeric: bool = False) -> Final | None:
    """Return the answer that the response states; None if none, or only what it is not.

    If a ``numeric`` answer is wanted, sentences without a digit ("Hope this helps!") are
    skipped.
    """
    text = _CALCULATOR.sub("", text)
    marked = _marked(text)
    if marked:
        behind = _behind_marks(text)[-_PROSE:]
        anew = SECOND_THOUGHT.match(behind) and _ANEW.search(behind)
        if anew or RETRACTED.search(behind) or _ANOTHER.search(behind):
            return _stated(behind, numeric)
        standing = [answer for answer, denied in marked if not denied]
        return Final(standing[-1], False) if standing else None
    return _stated(text[-_PROSE:], numeric)


def readings(final: Final, numeric: bool) -> list[str]:
    """Return the answer and, for a sentence, ever shorter endings that may be just the answer.

    "So the tallest is Evelyn" → the sentence, "Evelyn". None of them omits a part of a list.
    """
    if not final.prose:
        label = _LABEL.match(unlabelled := clean(final.text))
        return [final.text, *([unlabelled[label.end() :]] if label else [])]
    text, numbers_before = without_contrast(final.text), ""
    if not final.stated and not in_earnest(text):
        return [] if numeric else [text]
    found = [text]
    if final.stated:
        text, numbers_before = without_reason(text), r"\d|"
        found = [text] if numeric else [text, without_contrast(final.text)]
    if copula := _COPULA.match(text):
        rest = text[copula.end() :]
        if DENIAL.search(copula[0][-12:]) or DENIAL.match(rest):
            return found if final.stated else []
        if not (final.stated and re.search(r"\d", copula[0])):
            found.append(re.sub(r"^(?:about|approximately|exactly|at|on|the|a|an)\s+", "", rest))
    if maths := list(_MATH.finditer(text)):
        several = rf"{numbers_before}(?:\bor|\band|[$\d)]\s*,)\s*$"
        alone = not re.search(several, text[: maths[-1].start()])
        found += [next(filter(None, maths[-1].groups()))] if alone else []
    return found


def _marked(text: str) -> list[tuple[str, bool]]:
    return [(answer.strip(), _denied(text, start, end)) for start, end, answer in _all_marks(text)]


def _behind_marks(text: str) -> str:
    return text[max(end for _, end, _ in _all_marks(text)) :]


def _all_marks(text: str) -> list[tuple[int, int, str]]:
    boxes = _boxes(text)
    tags = [(m.start(), m.end(), m[1]) for m in _TAG.finditer(text) if not _inside(m, boxes)]
    hashes = [(m.start(), m.end(), m[1]) for m in _HASHES.finditer(text) if "\\boxed" not in m[1]]
    keyed = [(m.start(), m.end(), m[1] or m[2] or "") for m in _JSON.finditer(text)]
    return sorted([*boxes, *tags, *hashes, *keyed])


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


def _stated(text: str, numeric: bool) -> Final | None:
    text = without_bold(text)  # as pairs, before a phrase takes the first of a pair away
    sentences = [s.strip() for s in _SENTENCE.split(text) if s and s.strip(" \t\n.*")]
    if len(sentences) > 1 and _EXPLANATION.match(sentences[1]):  # "B", and below why
        sentences = sentences[:1] if not _PHRASE.search(" ".join(sentences[2:])) else sentences
    sentences = [s for s in sentences if not s.endswith("?")]
    for place, sentence in reversed(list(enumerate(sentences))):
        phrases = list(_PHRASE.finditer(sentence))
        if not phrases:
            continue
        phrase, rest = phrases[-1], sentence[phrases[-1].end() :].strip()
        behind = sentences[place + 1 :]
        if _VERDICT.fullmatch(rest):  # "Option B is correct."
            rest = sentence
        if not introduces(sentence[: phrase.start()]):
            return None
        if not rest and behind:  # "Answer:" and the answer below
            rest, behind = behind[0], behind[1:]
        retracted = any(RETRACTED.search(s) or SECOND_THOUGHT.match(s) for s in behind)
        if not (DENIAL.match(rest) or denies(phrase[0]) or retracted):
            return Final(rest, True, True) if rest else None
        if but := re.match(r"(?:not|isn't)\b.+?\bbut\s+(?:rather\s+)?(.+)", rest):
            return Final(but[1], True, True)
        if not behind:
            return None
        sentences = behind
        break
    figures = [s for s in sentences if re.search(r"\d", s)] if numeric else []
    last = (figures or sentences or [None])[-1]
    return None if last is None else Final(last, True)
