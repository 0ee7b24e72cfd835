r"""The value that an equation gives: ``7.07`` and ``5\sqrt{2}`` of x = √50 = 5√2 ≈ 7.07."""

import re

_BOUNDS = re.compile(r"_\s*\{[^{}]*=[^{}]*\}")  # of a sum: k = 1 is not the equation
_SUBSCRIPT = re.compile(r"_\s*(?:\{[^{}]*\}|\w+)")
_UNIT = re.compile(r"(?<=\d) [mgshltLJNWVAK]\b(?:\^\{?\d\}?)?")
_TIMES = re.compile(r"(?<=\d)\s*x\s*(?=\d)")  # 6 x 7
_WORD = re.compile(r"(?<![\\A-Za-z])(?:[A-Za-z]{2,}|a(?= [a-z]{2})|I(?= [a-z]))\b")
_SYMBOL = re.compile(
    r"\\(?:alpha|beta|gamma|delta|theta|lambda|mu|rho|sigma|tau|phi|omega)(?![A-Za-z])"
    r"|(?<![\\A-Za-z])[A-Za-z](?![A-Za-z])"
)
_BARE = re.compile(
    rf"(?:\\(?:angle|overline|vec|hat|bar)\s*)?\{{?(?:{_SYMBOL.pattern})\}}?'*(?:\s*\([^()]*\))?"
)
_RATIO = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])\s*(?:\\angle\s*)?\(?(.+?)\)?")
_BINDS = re.compile(r"\\(?:sum|prod|int|lim)(?![A-Za-z])")
_CONSTANTS = {"e", "i"}


def sides(text: str) -> list[str]:
    """Return the sides of a cleaned equation, and those of what it is about equal to."""
    return [side.strip() for side in re.split("[=≈]", _BOUNDS.sub("", text))]


def values(text: str) -> list[str]:
    """Return the sides that may be the value: the last, and the last exact one before ``≈``."""
    exact = sides(text.split("≈")[0])[-1]
    return list(dict.fromkeys([sides(text)[-1], exact] if "≈" in text else [sides(text)[-1]]))


def unsolved(left: str) -> bool:
    r"""Return whether an equation with this left side leaves something to solve.

    So do ``2x``, ``-x`` and ``x^2``: one symbol that is not bare. ``m+n``, ``f(2)``, ``2+3`` and an
    angle's ratio, ``\sin A``, are what is asked for.
    """
    if _BINDS.search(left):
        return False
    for read in (_SUBSCRIPT, _UNIT, _TIMES):
        left = read.sub("", left)
    left = _WORD.split(left)[-1].strip(" '\"$:,.;")
    if ratio := _RATIO.fullmatch(left):
        left = ratio[1]
    symbols = set(_SYMBOL.findall(left)) - _CONSTANTS
    return len(symbols) == 1 and not _BARE.fullmatch(left)
