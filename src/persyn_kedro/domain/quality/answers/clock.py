"""Times of day, dates and ratios: texts split by a colon or a month's name."""

import re
from fractions import Fraction
from typing import NamedTuple

_TIME = re.compile(
    r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*([ap])\.?\s*m\b\.?|(\d{1,2}):(\d{2})(?::(\d{2}))?", re.I
)
_RATIO = re.compile(r"[\w.^{}\\]+(?:\s*(?::|\bto\b)\s*[\w.^{}\\]+)+")
_MONTHS = "january february march april may june july august september october november december"
_MONTH = r"(?P<month>[A-Za-z]{3,9})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DATES = [
    re.compile(rf"{_MONTH}\s+{_DAY}(?:,?\s+(?P<year>\d{{4}}))?"),
    re.compile(rf"{_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+(?P<year>\d{{4}}))?"),
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"),
]


class Time(NamedTuple):
    """A time of day; ``sure`` if it says whether it is before or after noon."""

    hour: int
    minute: int
    second: int
    sure: bool


def read_time(text: str) -> Time | None:
    """Return the time if the text is nothing else: 3:45 PM, 15:45, 3 p.m."""
    match = _TIME.fullmatch(text.strip())
    if not match:
        return None
    half = (match[4] or "").casefold()
    hour, minute, second = (
        int(part or 0) for part in (match.groups()[:3] if half else match.groups()[4:])
    )
    if minute > 59 or second > 59 or hour > (12 if half else 24):
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return Time(hour, minute, second, bool(half))


def same_time(answer: Time, reference: Time) -> bool:
    """Return whether two times are the same; 3:45 is not 3:45 PM, but 15:45 is."""
    return answer[:3] == reference[:3]


def read_date(text: str) -> tuple[int | None, int, int] | None:
    """Return (year or None, month, day) of March 5, 2021 or 2021-03-05."""
    months = _MONTHS.split()
    for form in _DATES:
        if match := form.fullmatch(text.strip()):
            name = match["month"].casefold()
            numbers = [i for i, month in enumerate(months, 1) if month == name or month[:3] == name]
            month = int(name) if name.isdigit() else (numbers or [0])[0]
            return (
                (int(match["year"]) if match["year"] else None, month, int(match["day"]))
                if month
                else None
            )
    return None


def last_date(text: str) -> str | None:
    """Return the last date that a sentence names, as written."""
    found = [m for form in _DATES for m in form.finditer(text) if read_date(m[0])]
    return max(found, key=lambda match: match.end())[0] if found else None


def read_ratio(text: str) -> list[str] | None:
    """Return the parts of 3:4, 3 to 4 or 1:2:\\ldots, as texts."""
    if not _RATIO.fullmatch(text.strip()):
        return None
    return [part.strip() for part in re.split(r":|\bto\b", text)]


def same_ratio(answer: list[str], reference: list[str]) -> bool:
    """Return whether two ratios are proportional, or equal if a part is not an integer."""
    if len(answer) != len(reference):
        return False
    if not all(part.isdecimal() for part in answer + reference):
        return answer == reference
    one, two = [int(part) for part in answer], [int(part) for part in reference]
    if not any(one) or not any(two):
        return one == two
    return [Fraction(part, sum(one)) for part in one] == [Fraction(part, sum(two)) for part in two]
