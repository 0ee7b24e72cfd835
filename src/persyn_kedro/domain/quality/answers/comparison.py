"""Whether an answer matches the reference, judged by the reference's form.

The first form that fits the reference decides: choice, time or date, ratio, quantity, tuple or
interval, list or set, mathematics; otherwise words. There is no partial credit.
"""

import re
from typing import Any

from persyn_kedro.domain.quality.answers import clock
from persyn_kedro.domain.quality.answers.choices import choice_of_reference, chooses
from persyn_kedro.domain.quality.answers.clean import clean, closed, split_list, words
from persyn_kedro.domain.quality.answers.equations import sides, unsolved, values
from persyn_kedro.domain.quality.answers.expressions import (
    read_expression,
    rounds_to,
    same_expression,
)
from persyn_kedro.domain.quality.answers.quantities import Quantity, read_quantity, same_quantity
from persyn_kedro.domain.quality.answers.sizes import TooLarge
from persyn_kedro.domain.quality.answers.units import same_count, split_unit

_YES = {"yes": True, "true": True, "no": False, "false": False}
_LEFT_SIDE = re.compile(
    r"^\(?\s*\\?[A-Za-z][\w']*(?:\s*\([\w, ]*\)|(?:\s*,\s*\w+)*\s*\))?"
    r"\s*(?:=|\\in\b)\s*(?=[\[({\\])"
)
_MEMBER = re.compile(r"^\\?[A-Za-z]\w*\s*\\in\b\s*(?=[\[(].*[\])]$)")
_BASED = re.compile(r"(-?[0-9A-Za-z]*\d[0-9A-Za-z]*)\s*_\s*\{?\s*(\d{1,2})\s*\}?")
_MAX_ITEMS = 100
_MAX_LENGTH = 4000  # longer answers are compared only as text


def same_answer(answer: str, reference: str) -> bool:
    """Return whether an answer, as the response writes it, matches the reference.

    Raises:
        TooLarge: the reference itself is a number too large to compute.
    """
    if max(len(answer), len(reference)) > _MAX_LENGTH:
        return words(answer) == words(reference)
    answer, reference = clean(answer), clean(reference)
    if not answer or not reference:
        return False
    if closed(answer) == closed(reference) or _same_text(answer, reference):
        return _one_spelling(answer, reference)
    if words(reference) in _YES:
        return _same_words(answer, reference)
    if choice := choice_of_reference(reference):
        letter, text = choice
        return chooses(answer, letter, text) or (bool(text) and same_answer(answer, text))
    if (in_base := _in_base(answer, reference)) is not None:
        return in_base
    if (by_clock := _by_clock(answer, reference)) is not None:
        return by_clock
    if quantity := read_quantity(reference):
        return _is_quantity(answer, quantity, reference)
    reference = _MEMBER.sub("", reference)
    items, ordered = _items(reference)
    if len(items) > 1 or _wrapped(reference):
        return _same_items(answer, reference, items, ordered)
    if len(_items(answer)[0]) > 1 and not _wrapped(answer):
        return False
    return _same_mathematics(answer, reference) or _same_words(answer, reference)


def is_figure(reference: str) -> bool:
    """Return whether a reference is a number, time, date or ratio, which may end a sentence."""
    text = clean(reference)
    return any(
        read(text) for read in (read_quantity, clock.read_time, clock.read_ratio, clock.read_date)
    )


def _one_spelling(answer: str, reference: str) -> bool:
    """Equal texts match, except for letters whose case has a meaning (m and M)."""
    formula = len(reference) == 1 or "\\" in reference or re.search(r"[=^_+*<>]", reference)
    letters = choice_of_reference(reference)
    return bool(not formula or letters) or closed(answer) == closed(reference)


def _same_text(answer: str, reference: str) -> bool:
    if answer.endswith("!") != reference.endswith("!"):  # a factorial
        return False
    one, two = words(answer), words(reference)
    return one == two or (
        not re.search(r"[\d\\]", one) and one.replace(",", "") == two.replace(",", "")
    )


def _in_base(answer: str, reference: str) -> bool | None:
    """Compare numbers if one names its base, 42_8; None if neither does."""
    one, two = _BASED.fullmatch(answer), _BASED.fullmatch(reference)
    if not (one or two):
        return None
    if one and two and int(one[2]) != int(two[2]):
        return False
    values = [
        _value_in_base(*m.groups()) if m else text for m, text in ((one, answer), (two, reference))
    ]
    return None not in values and (
        values[0] == values[1] if one and two else same_answer(*map(str, values))
    )


def _value_in_base(digits: str, base: str) -> int | None:
    try:
        return int(digits, int(base)) if int(base) > 1 else None
    except ValueError:
        return None


def _by_clock(answer: str, reference: str) -> bool | None:
    """Compare times, dates and ratios; None if the reference is none of them."""
    if date := clock.read_date(reference):
        return clock.read_date(answer) == date
    time, ratio = clock.read_time(reference), clock.read_ratio(reference)
    other = clock.read_time(answer)
    if time and (other or not ratio):
        return other is not None and clock.same_time(other, time)
    if ratio:
        parts = clock.read_ratio(answer.replace("/", ":"))
        return parts is not None and clock.same_ratio(parts, ratio)
    return None


def _is_quantity(answer: str, reference: Quantity, text: str) -> bool:
    # The reference's own "3,14" is also 3.14, but only if it cannot be the list of 3 and 14.
    if reference.foreign and len(items := _items(text)[0]) > 1 and "." not in text:
        return _same_items(answer, text, items, False)
    if re.search(r"\\neq|[<>]|\\[lg]e\b", answer):
        return False
    return any(_value_is(clean(value), reference, text) for value in _values(answer))


def _values(answer: str) -> list[str]:
    """Return what an answer may give as the value; nothing if it gives several, or an equation."""
    several = any(len(_items(s)[0]) > 1 and not read_quantity(s) for s in sides(answer)[:-1])
    return [] if several or ("=" in answer and unsolved(sides(answer)[0])) else values(answer)


def _value_is(value: str, reference: Quantity, text: str) -> bool:
    if found := read_quantity(value):
        return same_quantity(found, reference)
    if len(_items(value)[0]) > 1 or "\\pm" in value:
        return False
    core, unit = split_unit(value)
    if unit and unit.kind and reference.unit and unit.kind != reference.unit.kind:
        return False
    return _same_mathematics(core, split_unit(text)[0])


def _wrapped(text: str) -> bool:
    return bool(re.fullmatch(r"(?:\\\{.*\\\}|\([^()]*,.*\)|\[.*,.*[\])]|\(.*,.*\])", text)) or (
        "\\cup" in text or "\\pm" in text
    )


def _items(text: str) -> tuple[list[str], bool]:
    """Return the parts of a list or set, and whether their order matters."""
    if match := re.fullmatch(r"\\?\{(.*?)\\?\}", text):
        text = match[1]
    parts = [p for part in split_list(text) for p in _plus_minus(part)]
    if "\\cup" in text and len(parts) == 1:
        parts = [part.strip() for part in text.split("\\cup")]
    plain = all(re.fullmatch(r"[^\W\d_]{2,}(?: [^\W\d_]+)*", part) for part in parts)
    ordered = plain and not re.search(r"\b(?:and|or)\b", text)
    return parts, ordered or "\\ldots" in text


def _plus_minus(text: str) -> list[str]:
    if text.count("\\pm") != 1:
        return [text]
    plus, minus = text.replace("\\pm", "+"), text.replace("\\pm", "-")
    return [clean(plus.strip().lstrip("+")), clean(minus)]


def _same_items(answer: str, reference: str, items: list[str], ordered: bool) -> bool:
    if (
        len(items) == 1
        and _wrapped(reference)
        and reference[0] in "(["
        and "\\cup" not in reference
    ):
        return _same_tuple(answer, reference)
    if (listed := re.fullmatch(r"\[([^\[\]]*)\]", answer)) and not _wrapped(reference):
        answer = listed[1]
    found, _ = _items(_LEFT_SIDE.sub("", answer))
    if len(found) != len(items) or len(items) > _MAX_ITEMS:
        return _same_mathematics(answer, reference)
    if ordered:
        return all(same_answer(one, two) for one, two in zip(found, items, strict=True))
    rest = list(found)
    for item in items:
        same = next((one for one in rest if same_answer(one, item)), None)
        if same is None:
            return False
        rest.remove(same)
    return True


def _same_tuple(answer: str, reference: str) -> bool:
    """Compare tuples, points and intervals: the brackets, then part by part."""
    answer, reference = _LEFT_SIDE.sub("", answer), _LEFT_SIDE.sub("", reference)
    if re.search(r"[<>]|\\[lg]e\b|\\cup", answer):
        return _same_mathematics(answer, reference)
    brackets = reference[0] + reference[-1]
    if answer[0] in "([" and answer[-1] in ")]":
        if answer[0] + answer[-1] != brackets:
            return False
        answer = answer[1:-1]
    elif brackets != "()":
        return False
    one, two = split_list(answer), split_list(reference[1:-1])
    return len(one) == len(two) and all(same_answer(a, b) for a, b in zip(one, two, strict=True))


def _same_mathematics(answer: str, reference: str) -> bool:
    core, unit = split_unit(reference)
    if unit and re.search(r"[A-Za-z]{2}|%|circ", reference[len(core) :]):
        answer, other = split_unit(answer)
        if other and not (same_count(other, unit) or (unit.kind and other.ratio_to(unit) == 1)):
            return False
        reference = core
    gold = read_expression(reference)
    if gold is None:
        return False
    try:
        if (quantity := read_quantity(answer)) and hasattr(gold, "is_number") and gold.is_number:
            if rounds_to(quantity.number, gold):
                return True
        constant = getattr(gold, "is_number", False) and re.search("[=≈]", answer)
        for text in (answer, split_unit(answer)[0], *(_values(answer) if constant else ())):
            found = read_expression(text)
            if found is not None and _same_sides(found, gold):
                return True
    except TooLarge:  # too large, unlike the reference
        return False
    return False


def _same_sides(answer: Any, reference: Any) -> bool:
    """Compare if one of the two names its value: x = 5 and 5, f(x) = 2x and 2x."""
    from sympy import Eq
    from sympy.core.function import AppliedUndef

    if isinstance(answer, Eq) != isinstance(reference, Eq):
        named, other = (answer, reference) if isinstance(answer, Eq) else (reference, answer)
        if not (named.lhs.is_Symbol or isinstance(named.lhs, AppliedUndef)):
            return False
        return same_expression(named.rhs, other)
    return same_expression(answer, reference)


def _same_words(answer: str, reference: str) -> bool:
    if words(reference) in _YES:
        said = re.match(r"[a-z]+", words(answer))
        rest = set(re.findall(r"[a-z]+", words(answer))[1:]) & set(_YES)
        return said is not None and said[0] == words(reference) and not rest
    return words(answer) == words(reference)
