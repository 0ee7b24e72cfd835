"""Numbers as people write them, with percent, money and units; exact, with no tolerance.

METHOD.md, section 1, says when a decimal matches another number.
"""

import re
from fractions import Fraction
from typing import NamedTuple

from persyn_kedro.domain.quality.answers.number_words import NUMBER_WORDS, read_number_words
from persyn_kedro.domain.quality.answers.units import SCALES, Unit, same_count, split_unit

SIGNIFICANT = 3  # digits that a decimal reference needs to match a longer decimal
SIGNIFICANT_OF_EXACT = 6  # digits that a decimal needs to match a fraction or a root
_MAX_EXPONENT = 2000
_DIGITS = r"\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d{1,3}(?:'\d{3})+|\d+"
_DECIMAL = re.compile(rf"({_DIGITS})?(?:\.(\d+))?")
_FOREIGN = re.compile(
    r"(\d{1,3}(?:\.\d{3})+|\d{1,3}(?: \d{3})+|\d+),(\d+)|(\d{1,3}(?:\.\d{3}){2,})"
)
_POWER = re.compile(
    r"(.*?)(?:\s*(?:\\times|\\cdot|\*|x)\s*10\s*(?:\^|\*\*)\s*\{?\s*([-+]?\d+)\s*\}?|[eE]([-+]?\d+))"
)
_TEN = re.compile(r"10\s*\^\s*\{?\s*([-+]?\d+)\s*\}?")
_FRACTION = re.compile(
    r"(.*?)\\frac\{([^{}]*)\}\{([^{}]*)\}|(?:(\d+)\s+)?([\d.,]+)\s*/\s*([\d.,]+)"
)
_REPEATING = re.compile(r"(\d*)\.(\d*)\\(?:overline|bar)\s*\{(\d+)\}")
_TWO_UNITS = re.compile(r"(?<![\w./,])(\d[\d.]* [A-Za-z]+)(?: and)? (\d[\d.]* [A-Za-z]+)")
_SAID_TWICE = re.compile(r"(.*)\(([A-Za-z -]+)\)")  # 18 (eighteen)
_NEGATIVE = re.compile(r"(?:minus|negative)\s+", re.I)
_SCALED = re.compile(rf"(.*\S)\s+({'|'.join(SCALES)})s?", re.I)


class Number(NamedTuple):
    """A rational number; ``decimals`` counts its decimal places if it was written with any."""

    value: Fraction
    decimals: int | None = None


class Quantity(NamedTuple):
    """A number and what it counts; ``foreign`` if its comma may be read differently."""

    number: Number
    unit: Unit | None = None
    foreign: bool = False


def read_quantity(text: str) -> Quantity | None:
    """Return the quantity if the cleaned text is nothing else, or None."""
    if (twice := _SAID_TWICE.fullmatch(text)) and (
        again := read_number_words(twice[2])
    ) is not None:
        once = read_quantity(twice[1].strip())
        return once if once and once.number.value == again else None
    if two := _TWO_UNITS.fullmatch(text):
        return _sum(read_quantity(two[1]), read_quantity(two[2]))
    core, unit = split_unit(text)
    if (number := read_number(core)) is not None:
        return Quantity(number, unit)
    foreign = _foreign(core)
    return None if foreign is None else Quantity(foreign, unit, foreign=True)


def with_figures(sentence: str) -> str:
    """Return a cleaned sentence with "2 hours and 30 minutes" as 5/2 hours and "seven" as 7.

    A word counts only if there is no other number; "one" is rather a pronoun.
    """
    sentence = _TWO_UNITS.sub(_summed, sentence)
    found = NUMBER_WORDS.findall(sentence)
    number = read_number_words(found[0]) if len(found) == 1 else None
    if number in (None, 1) or re.search(r"\d", sentence):
        return sentence
    return sentence.replace(found[0], str(number))


def _summed(match: re.Match[str]) -> str:
    quantity = read_quantity(match[0])
    return f"{quantity.number.value} {match[1].split()[1]}" if quantity else match[0]


def _sum(large: Quantity | None, small: Quantity | None) -> Quantity | None:
    """Add 2 hours and 30 minutes; None if the second is not less than one of the first's unit."""
    if not (large and small and large.unit and small.unit and large.unit.kind):
        return None
    rate = small.unit.ratio_to(large.unit)
    if rate is None or large.number.decimals is not None or small.number.value * rate >= 1:
        return None
    return Quantity(Number(large.number.value + small.number.value * rate), large.unit)


def read_number(text: str) -> Number | None:
    """Return the number if the cleaned text is nothing else: 1,000 · 3 1/2 · 6.02e23 · seven."""
    text = text.strip()
    text = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    text = _NEGATIVE.sub("-", text) if _NEGATIVE.match(text) else text
    sign = -1 if text.startswith("-") else 1
    number = _unsigned(text.lstrip("+-").strip())
    return None if number is None else Number(sign * number.value, number.decimals)


def same_quantity(answer: Quantity, reference: Quantity) -> bool:
    """Return whether answer and reference match; one of them may omit the unit."""
    number, other = answer.number, reference.number
    one, two = answer.unit, reference.unit
    if one and two and (one.kind == "percent") != (two.kind == "percent"):
        return False
    percents = [unit is not None and unit.kind == "percent" for unit in (one, two)]
    if percents == [True, False]:
        literal = abs(other.value) >= 1 and same_number(number, other)  # 50 % for "50"
        return literal or same_number(_scaled(number, Fraction(1, 100)), other)
    if percents == [False, True]:
        return same_number(number, other) or same_number(number, _scaled(other, Fraction(1, 100)))
    if one is None or two is None or percents == [True, True]:
        return same_number(number, other)
    if one.kind and two.kind:
        factor = one.ratio_to(two)
        return factor is not None and same_number(_scaled(number, factor), other)
    return same_count(one, two) and same_number(number, other)


def same_number(answer: Number, reference: Number) -> bool:
    """Return whether two numbers are equal, or one decimal rounds the other (METHOD.md)."""
    if answer.value == reference.value:
        return True
    if answer.decimals is None:
        return False
    if reference.decimals is None:
        return stands_for(answer, rounded(reference.value, answer.decimals))
    longer = answer.decimals > reference.decimals and significant(reference) >= SIGNIFICANT
    return longer and rounded(answer.value, reference.decimals) == reference.value


def stands_for(decimal: Number, exact_rounded: Fraction) -> bool:
    """Return whether a decimal has enough correct digits for a number of infinitely many."""
    return significant(decimal) >= SIGNIFICANT_OF_EXACT and decimal.value == exact_rounded


def rounded(value: Fraction, decimals: int) -> Fraction:
    """Round half away from zero."""
    scaled = abs(value) * 10**decimals
    whole = int(scaled + Fraction(1, 2))
    return Fraction(-whole if value < 0 else whole, 10**decimals)


def significant(number: Number) -> int:
    """Count the digits of a decimal from the first nonzero one."""
    return len(str(abs(number.value) * 10 ** (number.decimals or 0))) if number.value else 0


def _scaled(number: Number, factor: Fraction) -> Number:
    exact = number.decimals is None or factor != 1
    return Number(number.value * factor, None if exact else number.decimals)


def _unsigned(text: str) -> Number | None:
    if len(text) > 1000:
        return None
    if (words := read_number_words(text)) is not None:
        return Number(Fraction(words))
    if repeating := _REPEATING.fullmatch(text):
        return _repeating(*repeating.groups())
    if scale := _SCALED.fullmatch(text):
        count = read_number(scale[1])
        return count and _scaled(count, Fraction(SCALES[scale[2].casefold()]))
    if fraction := _FRACTION.fullmatch(text):
        return _fraction(fraction)
    if ten := _TEN.fullmatch(text):
        return _times_ten(Number(Fraction(1)), ten[1])
    if power := _POWER.fullmatch(text):
        number = read_number(power[1]) if power[1].strip() else None
        return number and _times_ten(number, power[2] or power[3])
    return _decimal(text)


def _repeating(whole: str, once: str, again: str) -> Number:
    """Read 1.2 with 34 repeated: 1.2 and 34 of 990."""
    tail = Fraction(int(again), (10 ** len(again) - 1) * 10 ** len(once))
    return Number(Fraction(f"{whole or 0}.{once or 0}") + tail)


def _decimal(text: str) -> Number | None:
    match = _DECIMAL.fullmatch(text)
    if not match or not text:
        return None
    whole, places = re.sub(r"\D", "", match[1] or "0"), match[2]
    return Number(Fraction(f"{whole}.{places or 0}"), len(places) if places else None)


def _times_ten(number: Number, exponent: str) -> Number | None:
    if len(exponent) > 5 or abs(int(exponent)) > _MAX_EXPONENT:
        return None
    return Number(number.value * Fraction(10) ** int(exponent))


def _fraction(match: re.Match[str]) -> Number | None:
    whole, above, below = match[1] or match[4], match[2] or match[5], match[3] or match[6]
    parts = [read_number(part) if part else Number(Fraction(0)) for part in (whole, above, below)]
    if None in parts or parts[2].value == 0:  # type: ignore[union-attr]
        return None
    mixed, top, bottom = (part.value for part in parts if part)
    if whole and (mixed.denominator != 1 or top.denominator != 1 or top < 0):
        return None
    return Number(mixed + top / bottom)


def _foreign(text: str) -> Number | None:
    """Read 1.234,56 and 1.234.567: dots separate thousands, the comma is the decimal point."""
    sign, text = (-1, text[1:].strip()) if text.startswith("-") else (1, text)
    match = _FOREIGN.fullmatch(text)
    if not match:
        return None
    whole = re.sub(r"\D", "", match[1] or match[3])
    return Number(sign * Fraction(f"{whole}.{match[2] or 0}"), len(match[2]) if match[2] else None)
