r"""Mathematics: Math-Verify's parser, with an equality that holds at any magnitude.

Math-Verify is overruled in three ways. It reads what it can of a text and drops the rest (``4`` of
``4\sqrt(2)``): here the full text must parse. It compares 15 digits after the decimal point, by
which 1/2006! equals 1/2004!, and 6 if one side is a decimal: here two values are equal if they
agree to 40 significant digits, and a decimal is a rational number. It solves equations to compare
them: here they are the same if one is a multiple of the other. Relations against intervals are left
to Math-Verify.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

from persyn_kedro.domain.quality.answers.quantities import Number, stands_for
from persyn_kedro.domain.quality.answers.sizes import check_size

_MAX_LENGTH = 1000
_MAX_DEPTH = 8  # of brackets; the parser's time is exponential in it
# What the parser drops or adds up ("1 2", 42_8), and texts on which it is slow.
_UNREAD = re.compile(r"\\ldots|≈|(?<![_\d])\d+\s+\d|\d\s*_|[A-Za-z]{21}")
_DIGITS = 60
_AGREE = 40
# Where functions of symbols are compared: as good as random, of both signs, and integers.
_POINTS = ((7, 5), (11, 3), (-13, 7), (-5, 2), (2, 1), (3, 1), (7, 1), (-3, 1), (1, 3), (-4, 7))


@lru_cache(maxsize=1000)  # parsing is slow, and each teacher's answer has the same reference
def read_expression(text: str) -> Any | None:
    """Return the sympy object of a cleaned text, None if not all of it is mathematics.

    Raises:
        TooLarge: it contains a number with too many digits to compute.
    """
    from latex2sympy2_extended import NormalizationConfig, latex2sympy, normalize_latex
    from sympy import Expr
    from sympy.core.relational import Relational

    if not text or len(text) > _MAX_LENGTH or _UNREAD.search(text) or _depth(text) > _MAX_DEPTH:
        return None
    check_size(text)
    config = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=False, boxed="none"
    )
    normal = normalize_latex(text.replace("**", "^"), config)
    try:
        read = latex2sympy(normal, is_real=True, convert_degrees=False, normalization_config=None)
    except Exception:  # how the parser says that this is not mathematics
        return None
    check_size(read)
    if isinstance(read, Relational) and not all(isinstance(side, Expr) for side in read.args):
        return None  # x = {-3, 3}
    return read


def _depth(text: str) -> int:
    depth = deepest = 0
    for sign in re.findall(r"[(\[{)\]}]", text):
        depth += 1 if sign in "([{" else -1
        deepest = max(deepest, depth)
    return deepest


def same_expression(answer: Any, reference: Any) -> bool:
    """Return whether two sympy objects are the same value, relation, matrix or set."""
    from sympy import Basic, Expr, MatrixBase, Ne
    from sympy.core.relational import Relational
    from sympy.logic.boolalg import And

    if isinstance(answer, MatrixBase) or isinstance(reference, MatrixBase):
        return _same_matrix(answer, reference)
    if isinstance(answer, Ne) != isinstance(reference, Ne):
        return False
    if isinstance(answer, And) and isinstance(reference, And):
        return _same_chain(answer, reference)
    if isinstance(answer, Relational) and isinstance(reference, Relational):
        return same_relation(answer, reference)
    if isinstance(answer, Expr) and isinstance(reference, Expr):
        return same_value(answer, reference)
    if isinstance(answer, Basic) and isinstance(reference, Basic):
        return _same_set(answer, reference)
    return False


def same_value(answer: Any, reference: Any) -> bool:
    """Return whether two expressions have the same value for all values of their symbols."""
    if answer == reference:
        return True
    answer, reference = _exact(answer), _exact(reference)
    symbols = sorted(answer.free_symbols | reference.free_symbols, key=str)
    if not symbols:
        return _agree(_value(answer), _value(reference))
    compared = 0
    for one, two in _at_points((answer, reference), symbols):
        if one is None or two is None:
            continue
        if not _agree(one, two):
            return False
        compared += 1
    return compared >= 2


def same_relation(answer: Any, reference: Any) -> bool:
    """Return whether two relations are the same up to a factor and swapped sides."""
    from sympy import Eq, Ne

    if answer.free_symbols != reference.free_symbols:
        return False
    (kind, one), (other, two) = _canonical(answer), _canonical(reference)
    if kind != other:
        return False
    symbols = sorted(answer.free_symbols, key=str)
    pairs: list[Any] = [p for p in _at_points((_exact(one), _exact(two)), symbols) if None not in p]
    ratios = [a / b for a, b in pairs if b != 0]
    if len(ratios) < 2 or any((a == 0) != (b == 0) for a, b in pairs):
        return False
    signed = kind in (Eq, Ne) or ratios[0].is_positive
    return bool(signed and ratios[0] != 0 and all(_agree(r, ratios[0]) for r in ratios))


def rounds_to(decimal: Number, reference: Any) -> bool:
    """Return whether a decimal has enough digits for an irrational number (METHOD.md)."""
    if decimal.decimals is None or reference.free_symbols:
        return False
    value = _value(_exact(reference))
    if value is None or not value.is_real or abs(value) > 10**40:
        return False
    scaled = int(abs(value) * 10**decimal.decimals + Fraction(1, 2))
    exact = Fraction(-scaled if value < 0 else scaled, 10**decimal.decimals)
    return stands_for(decimal, exact)


def _exact(expression: Any) -> Any:
    from sympy import Float, Rational

    floats = {f: Rational(str(f)) for f in expression.atoms(Float)}
    return expression.xreplace(floats).doit()


def _value(expression: Any) -> Any | None:
    """Return a finite value to many digits, or None."""
    if expression.is_Rational:
        return expression
    value = expression.evalf(_DIGITS, maxn=400)
    return (
        value if value.is_number and value.is_finite and value.is_comparable is not None else None
    )


def _agree(one: Any | None, two: Any | None) -> bool:
    from sympy import Abs, Rational

    if one is None or two is None:
        return False
    if one.is_Rational and two.is_Rational:
        return bool(one == two)
    size = max(Abs(one).evalf(15), Abs(two).evalf(15))
    tiny = size < Rational(1, 10**50) and 0 in (one, two)  # what evalf makes of an exact zero
    return bool(tiny or Abs(one - two).evalf(15) <= size * Rational(1, 10**_AGREE))


def _at_points(
    expressions: tuple[Any, ...], symbols: list[Any]
) -> Iterator[tuple[Any | None, ...]]:
    """Yield the expressions' values at points; None where they are not real or not defined."""
    from sympy import Rational

    for place in range(len(_POINTS)):
        chosen = [_POINTS[(place + i) % len(_POINTS)] for i in range(len(symbols))]
        point = {
            s: Rational(a, b) + Rational(i, 11 if b > 1 else 1)
            for i, (s, (a, b)) in enumerate(zip(symbols, chosen, strict=True))
        }
        values = [_value(e.subs(point)) for e in expressions]
        yield tuple(v if v is not None and v.is_real else None for v in values)


def _canonical(relation: Any) -> tuple[Any, Any]:
    from sympy import GreaterThan, LessThan, StrictGreaterThan, StrictLessThan

    flipped = {LessThan: GreaterThan, StrictLessThan: StrictGreaterThan}
    kind, difference = type(relation), relation.lhs - relation.rhs
    return (flipped[kind], -difference) if kind in flipped else (kind, difference)


def _same_chain(answer: Any, reference: Any) -> bool:
    rest = list(answer.args)
    for part in reference.args:
        found = next((a for a in rest if same_expression(a, part)), None)
        if found is None:
            return False
        rest.remove(found)
    return not rest


def _same_matrix(answer: Any, reference: Any) -> bool:
    if getattr(answer, "shape", None) != getattr(reference, "shape", None):
        return False
    pairs = zip(answer.flat(), reference.flat(), strict=True)
    return all(same_value(one, two) for one, two in pairs)


def _same_set(answer: Any, reference: Any) -> bool:
    from math_verify.grader import sympy_expr_eq

    # Not by ``verify``, whose alarm would cancel the one in use (exact_answer).
    return bool(sympy_expr_eq(reference, answer, 6, 15, allow_set_relation_comp=True))
