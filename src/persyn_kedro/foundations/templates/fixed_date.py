"""The date that a chat template reads: a macro in place of Transformers' ``strftime_now``."""

import re
from collections.abc import Mapping
from datetime import date

from persyn_kedro.foundations.templates.literals import literal

DEFAULT_DATE = "2024-07-26"
"""What Llama 3.2's template writes when it is given no date. It never changes."""

CLOCK = "strftime_now"
_MONTHS = (
    "January February March April May June July August September October November December".split()
)
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_PERCENT = "\ue000"  # stands for %% while directives are replaced


def reads_clock(template: str) -> bool:
    """Return whether a template can ask for the date. (Jinja has one spelling of the name.)"""
    return re.search(rf"\b{CLOCK}\b", template) is not None


def fixed_clock(day: date, body: str) -> str:
    """Return a macro that replaces Transformers' ``strftime_now``, at midnight of this day.

    It knows the directives that the template uses, and refuses any other.
    """
    known = {f"%{name}": value for name, value in _directives(day).items() if f"%{name}" in body}
    before, after = ({"%%": _PERCENT}, {_PERCENT: "%"}) if "%%" in body else ({}, {})
    return (
        f"{{%- macro {CLOCK}(format) -%}}"
        f"{{%- set text = format{_replaced({**before, **known})} -%}}"
        '{%- if "%" in text -%}'
        '{{- raise_exception("persyn_kedro fixes no date in the form " ~ format) -}}'
        "{%- endif -%}"
        f"{{{{- text{_replaced(after)} -}}}}{{%- endmacro -%}}\n"
    )


def _replaced(pairs: Mapping[str, str]) -> str:
    return "".join(f" | replace({literal(a)}, {literal(b)})" for a, b in pairs.items())


def _directives(day: date) -> dict[str, str]:
    """Return what ``strftime`` writes for each directive, in English, whatever the locale."""
    year, week, weekday = day.isocalendar()
    of_year = day.timetuple().tm_yday
    month, name = _MONTHS[day.month - 1], _DAYS[weekday - 1]
    numbers = {
        "d": f"{day.day:02}",
        "m": f"{day.month:02}",
        "y": f"{day.year % 100:02}",
        "j": f"{of_year:03}",
        "U": f"{(of_year + 6 - weekday % 7) // 7:02}",
        "W": f"{(of_year + 7 - weekday) // 7:02}",
        "V": f"{week:02}",
        "H": "00",
        "I": "12",
        "M": "00",
        "S": "00",
    }
    short = f"{numbers['m']}/{numbers['d']}/{numbers['y']}"
    return {
        **numbers,
        **{f"-{letter}": value.lstrip("0") or "0" for letter, value in numbers.items()},
        "e": f"{day.day:2}",
        "Y": f"{day.year}",
        "G": f"{year}",
        "a": name[:3],
        "A": name,
        "b": month[:3],
        "h": month[:3],
        "B": month,
        "u": f"{weekday}",
        "w": f"{weekday % 7}",
        "p": "AM",
        "f": "000000",
        "z": "",
        "Z": "",
        "F": day.isoformat(),
        "D": short,
        "x": short,
        "R": "00:00",
        "T": "00:00:00",
        "X": "00:00:00",
        "c": f"{name[:3]} {month[:3]} {day.day:2} 00:00:00 {day.year}",
    }
