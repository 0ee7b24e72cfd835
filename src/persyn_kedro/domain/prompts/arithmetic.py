"""Whether the answer that reasoning-gym gives to an arithmetic expression is right.

Its ``basic_arithmetic`` (0.1.25) changes a divisor after it has written the expression, if
``allow_parentheses`` is false: 29 / 21 then has the answer 2146. Otherwise it now and then rounds
a quotient down.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

_OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def is_right(entry: Mapping[str, Any]) -> bool:
    """Return whether the answer of an entry of ``basic_arithmetic`` is its expression's value."""
    return expression_value(entry["metadata"]["expression"]) == Fraction(entry["answer"])


def expression_value(expression: str) -> Fraction | None:
    """Return the exact value of an expression of integers, + - * / and parentheses.

    None if it divides by 0.
    """
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body)
    except ZeroDivisionError:
        return None


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.BinOp):
        return _OPERATIONS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return Fraction(node.value)
    raise ValueError(f"{ast.dump(node)} is no arithmetic")
