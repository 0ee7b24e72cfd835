"""Units after a number: percent, money, and the common measures."""

import re
from fractions import Fraction
from typing import NamedTuple

from persyn_kedro.domain.quality.answers.sentences import OPERATORS


class Unit(NamedTuple):
    """``kind`` is the dimension; empty for things that are counted, by ``name`` (apples)."""

    kind: str
    factor: Fraction
    name: str = ""

    def ratio_to(self, other: "Unit") -> Fraction | None:
        """Return how many of the other unit one of these is, None if it measures something else."""
        if self.kind == other.kind:
            return self.factor / other.factor
        one, two = (_POUND.get((a.kind, b.kind)) for a, b in ((self, other), (other, self)))
        return one / other.factor if one else self.factor / two if two else None


SCALES = {
    "dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9,
    "trillion": 10**12,
}  # fmt: skip
_POUND = {  # the word means money or a mass
    ("pound", "sterling"): Fraction(1),
    ("pound", "mass"): Fraction(45359237, 100000000),
}
_TABLE = r"""
percent 1 % percent pct percentage
dollar 1 $ dollar usd; dollar 1/100 cent ¢; euro 1 € euro eur
sterling 1 £; pound 1 pound; yen 1 ¥ yen; rupee 1 ₹ rupee
length 1 m meter metre; length 1/100 cm centimeter centimetre
length 1/1000 mm millimeter millimetre
length 1000 km kilometer kilometre; length 254/10000 in inch; length 3048/10000 ft foot feet
length 9144/10000 yd yard; length 1609344/1000 mi mile
mass 1 kg kilogram; mass 1/1000 g gram; mass 1/1000000 mg milligram; mass 1000 t tonne
mass 45359237/100000000 lb lbs
time 1 s sec second; time 60 min minute; time 3600 h hr hour; time 86400 day; time 604800 week
months 1 month; months 12 yr year
volume 1 l liter litre; volume 1/1000 ml milliliter millilitre
angle 1 ^\circ degree deg; radians 1 rad radian
energy 1 J joule; energy 1000 kJ; force 1 N newton; power 1 W watt; power 1000 kW; voltage 1 V volt
current 1 A ampere amp; frequency 1 Hz hertz; pressure 1 Pa pascal; resistance 1 Ω ohm
kelvin 1 K kelvin; celsius 1 ^\circC °C celsius; fahrenheit 1 ^\circF fahrenheit
speed 1 km/h kmh kph km/hour kilometers/hour kilometres/hour
speed 18/5 m/s m/second meters/second metres/second; speed 1609344/1000000 mph miles/hour mi/h
"""
_UNITS = {
    name: Unit(kind, Fraction(factor))
    for entry in re.split(r"[;\n]", _TABLE)
    if entry.strip()
    for kind, factor, *names in [entry.split()]
    for name in names
}
_MONEY = re.compile(r"(-?)\s*([$€£¥₹])\s*(?=[\d.])(.+)")
_SUFFIX = re.compile(
    r"([-+]?\d[\d.,]*(?:[eE]|\s*(?:x|\\times|\\cdot|\*)\s*10\s*\^\s*\{?)[-+]?\d+\}?|.*?[\d})!.]|.*\\pi)\s*"
    r"(%|\^\\circ\s*[CFK]?|[$€£¥₹¢]|(?<=[\d})!i ])[A-Za-z][\w/ .^{}]*)"
)
_POWER = re.compile(r"(?:(square|sq|cubic|cu)\.?\s+)?([A-Za-z/]+)\.?(?:\^\{?([23])\}?)?")
_NO_UNIT = re.compile(
    rf"\b(?:{OPERATORS}|not|but|is|if|for|when|at|than|{'|'.join(SCALES)})\b|[=<>]", re.I
)
_SCALE = re.compile(rf"((?:{'|'.join(SCALES)})s?)\b\s*(.*)", re.I)


def split_unit(text: str) -> tuple[str, Unit | None]:
    r"""Return a cleaned text without its unit, and the unit: ("18", dollar) for ``$18``.

    A single letter is a unit only after a space: ``3m`` is three times m.
    """
    if money := _MONEY.fullmatch(text):
        core, unit = split_unit(money[1] + money[3])
        return core, unit if unit and unit.kind else _UNITS[money[2]]
    match = _SUFFIX.fullmatch(text)
    if not match or len(text) > 200:
        return text, None
    core, name = match[1].strip(), match[2].replace("circ ", "circ").strip()
    if scale := _SCALE.fullmatch(name):
        core, name = f"{core} {scale[1]}", scale[2]
        return core, _unit(name) if name else None
    unit = _unit(name)
    letters = re.sub(r"[^A-Za-z]", "", name)
    glued = (
        len(letters) == 1
        and text[match.end(1) - 1 : match.start(2)].strip()
        == text[match.end(1) - 1 : match.start(2)]
    )
    return (text, None) if unit is None or glued else (core, unit)


def same_count(one: Unit, other: Unit) -> bool:
    """Return whether two counted things are the same, or one is more specific ("apples left")."""
    names = [{word.removesuffix("s") for word in unit.name.split()} for unit in (one, other)]
    return bool(one.name and other.name) and (names[0] <= names[1] or names[1] <= names[0])


def _unit(name: str) -> Unit | None:
    name = re.sub(r"\s+per\s+", "/", name.replace("per cent", "percent"))
    if known := _known(name):
        return known
    words = name.split()
    if _NO_UNIT.search(name) or len(words) > 4:
        return None
    for end in range(len(words) - 1, 0, -1):  # "minutes in total"
        known = _known(" ".join(words[:end]))
        if known and len(words[end]) > 1 and not _known(words[end]):
            return known
    counted = bool(words) and len(words[0]) > 2 and re.fullmatch(r"[A-Za-z ./]+", name)
    return Unit("", Fraction(1), name.casefold()) if counted else None


def _known(name: str) -> Unit | None:
    if name in _UNITS:
        return _UNITS[name]
    lower = name.casefold().rstrip(".")
    for known in (lower, lower.removesuffix("s"), lower.removesuffix("es")):
        if known in _UNITS and len(known) > 1:
            return _UNITS[known]
    if (power := _POWER.fullmatch(name)) and (power[1] or power[3]):
        base = _known(power[2])
        if base and base.kind:
            exponent = int(power[3] or (2 if power[1].startswith("s") else 3))
            return Unit(f"{base.kind}^{exponent}", base.factor**exponent)
    return None
