r"""How large a number an expression would become, found without computing it.

sympy computes ``9^{9^{9^9}}`` in one C call, which no time limit can interrupt.
"""

import re
from math import log10
from typing import Any

_DIGITS = 20_000  # the most that a number may have
_EVALUATED = re.compile(
    r"\\binom\D*\d{5}|\\binom[^a-z]*\d{5}|\d{2001}|\\d?frac\{?\d{2001}|\d{5,}\s*\}?\s*!|!\s*!"
)


class TooLarge(ValueError):
    """A number that is too large to compute."""


def check_size(expression: Any) -> None:
    """Raise TooLarge if a text or parsed expression makes a number of more than 20,000 digits."""
    large = (
        _EVALUATED.search(expression)
        if isinstance(expression, str)
        else _digits(expression) > _DIGITS
    )
    if large:
        raise TooLarge("a number of more than 20,000 digits")


def _digits(node: Any) -> float:
    """Bound the number of digits in a part of the expression; raise if there are too many."""
    from sympy import Integer, Pow, Rational, factorial

    parts = [_digits(part) for part in getattr(node, "args", ())]
    if isinstance(node, Integer):
        found = len(str(abs(node.p))) if node.p.bit_length() < 80_000 else float("inf")
    elif isinstance(node, Rational):
        found = max(len(str(abs(node.p))), len(str(node.q)))
    elif isinstance(node, Pow) and not node.exp.free_symbols and not node.base.free_symbols:
        found = max(1.0, parts[0]) * _at_most(node.exp, parts[1])
    elif isinstance(node, factorial):
        most = _at_most(node.args[0], parts[0])
        found = most * log10(max(most, 1) + 1)
    else:
        found = sum(parts)
    if found > _DIGITS:
        raise TooLarge("a number of more than 20,000 digits")
    return found


def _at_most(node: Any, digits: float) -> float:
    if node.is_Number:
        return float(min(abs(node), 10**9))
    return 10.0 ** min(digits, 9)
