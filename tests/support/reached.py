"""Which functions and classes of steps and domain a function may call, by the sources."""

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

OURS = ("persyn_kedro.domain.", "persyn_kedro.pipelines.")


def modules_reached(function: Any) -> set[str]:
    """Return the modules of all that ``function`` may call, directly or round about.

    Of a class those methods count whose names are used anywhere in what is reached.
    """
    found: dict[Any, None] = {}
    attributes: set[str] = set()
    before = -1
    while before != len(found) + len(attributes):  # a new name may be that of a method
        before = len(found) + len(attributes)
        todo, seen = [function], set()
        while todo:
            each = todo.pop()
            if each in seen:
                continue
            seen.add(each)
            found[each] = None
            names, used = _uses(each, frozenset(attributes & vars(each).keys()))
            attributes |= names
            todo += used
    return {each.__module__ for each in found}


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[module]))


@cache
def _uses(each: Any, attributes: frozenset[str]) -> tuple[frozenset[str], tuple[Any, ...]]:
    """Return the names of attributes, and the functions and classes, that are used."""
    module = sys.modules[each.__module__]
    nodes = [n for top in _code(_definition(each), attributes) for n in _within(top)]
    names = {**vars(module), **dict(_imported(nodes))}
    for local in _locals(nodes):
        names.pop(local, None)
    values = [_value(node, names) for node in nodes]
    bases = [b for b in getattr(each, "__mro__", ())[1:] if _is_ours(b)]
    used = (*(v for v in values if _is_ours(v)), *bases)
    return frozenset(n.attr for n in nodes if isinstance(n, ast.Attribute)), used


def _definition(each: Any) -> ast.AST:
    body: list[ast.stmt] = _tree(each.__module__).body
    for part in each.__qualname__.split("."):
        (node,) = (n for n in body if getattr(n, "name", None) == part)
        body = node.body  # type: ignore[attr-defined]
    return node


def _code(node: ast.AST, attributes: frozenset[str]) -> list[ast.AST]:
    """Return a function, or of a class what runs if these names are used."""
    if not isinstance(node, ast.ClassDef):
        return [node]
    return [
        n
        for n in node.body
        if not isinstance(n, ast.FunctionDef) or n.name in attributes or n.name.startswith("__")
    ]


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes of what runs: no annotations, and no decorators, such as a step's mark."""
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "decorator_list"):
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, ast.AST):
                    yield from _within(item)


def _imported(nodes: list[ast.AST]) -> Iterator[tuple[str, Any]]:
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(OURS):
            module = import_module(str(node.module))
            for alias in node.names:
                yield alias.asname or alias.name, getattr(module, alias.name)


def _locals(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _value(node: ast.AST, names: dict[str, Any]) -> Any:
    """Return what a name, or a name of a module, stands for."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        holder = names.get(node.value.id)
        return getattr(holder, node.attr, None) if isinstance(holder, ModuleType) else None
    return None


def _is_ours(value: Any) -> bool:
    kind = isinstance(value, FunctionType | type)
    return kind and getattr(value, "__module__", "").startswith(OURS)
