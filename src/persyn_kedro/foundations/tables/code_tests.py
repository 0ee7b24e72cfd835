"""Tests of code: the forms that a file may hold them in, and the one that tables hold.

A test is one of ``{"code"}`` (it fails if it raises), ``{"stdin", "stdout"}`` of a program, and
``{"function", "args", "results"}`` (any of the results is right). A row of ``schemas.PROMPTS`` has
its tests in its ``metadata``, a JSON object with the key ``tests``.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

TESTS = "tests"

Test = dict[str, Any]
NOT_JSON = (ValueError, RecursionError)  # the first also of a number with 5,000 digits

_INPUTS, _OUTPUTS = ("inputs", "input"), ("outputs", "output", "expected_output")
_FUNCTION = ("fn_name", "function", "entry_point")
_CHECK = re.compile(r"^def check\(", re.M)


def read_tests(value: Any, function: str | None = None) -> list[Test]:
    """Return the tests of a file's value; none if it is missing or blank.

    A list of texts is one test each (MBPP's ``test_list``), a text is one (HumanEval's ``test``,
    whose ``check`` is called with the ``function``). An object has ``inputs`` and ``outputs`` of
    the same length (``input_output`` of APPS, TACO and LiveCodeBench, also as JSON text), or a list
    has an object with ``input`` and ``output`` for each test: of a program, or of the function that
    ``fn_name`` names.

    Raises:
        ValueError: it is none of these; the text completes a sentence that begins with "The tests
            of row 1".
    """
    value = value.tolist() if hasattr(value, "tolist") else value  # a NumPy array
    if value is None or value != value:  # NaN: a column's missing value
        return []
    if isinstance(value, str):
        return _of_text(value, function)
    if isinstance(value, Mapping):
        return _of_object(value, function)
    if not isinstance(value, (list, tuple)):
        raise ValueError(
            f"are of type {type(value).__name__}; they must be text, a list or an object"
        )
    if all(isinstance(item, str) for item in value):
        return [{"code": item} for item in value if item.strip()]
    if all(isinstance(item, Mapping) for item in value):
        return [test for item in value for test in _of_object(item, function)]
    raise ValueError("are a list of neither texts nor objects")


def tests_of(row: Mapping[str, Any]) -> list[Test]:
    """Return the tests of a row of ``schemas.PROMPTS``; may be none."""
    metadata = row.get("metadata")
    found = json.loads(metadata).get(TESTS) if metadata and f'"{TESTS}"' in metadata else None
    return found if isinstance(found, list) else []


def _of_text(text: str, function: str | None) -> list[Test]:
    if not text.strip():
        return []
    if text.lstrip()[0] in "[{":
        try:
            found = json.loads(text)
        except NOT_JSON:
            pass  # code may begin so, too
        else:
            return read_tests(found, function)
    if _CHECK.search(text):
        if not function:
            raise ValueError("define check(candidate), but the row has no entry_point to call")
        text = f"{text}\n\ncheck({function})"
    return [{"code": text}]


def _of_object(value: Mapping[str, Any], function: str | None) -> list[Test]:
    inputs, outputs = (_first(value, names) for names in (_INPUTS, _OUTPUTS))
    if inputs is None or outputs is None:
        keys = ", ".join(map(str, value)) or "none"
        raise ValueError(f"are an object without inputs and outputs (its keys: {keys})")
    function = _first(value, _FUNCTION) or (
        function if value.get("testtype") == "functional" else None
    )
    if value.get("testtype") == "functional" and not function:
        raise ValueError("are of a function, but neither they nor the row's entry_point name it")
    several = isinstance(outputs, list) and any(name in value for name in ("inputs", "outputs"))
    if not (several or (isinstance(inputs, list) and isinstance(outputs, list) and not function)):
        inputs, outputs = [inputs], [outputs]
    if not isinstance(inputs, list) or len(inputs) != len(outputs):
        raise ValueError("have inputs and outputs of different lengths")
    if not function:
        pairs = zip(inputs, outputs, strict=True)
        return [{"stdin": _lines(given), "stdout": _lines(right)} for given, right in pairs]
    # APPS wraps each result in a list of its own.
    wrapped = all(isinstance(right, list) and len(right) == 1 for right in outputs)
    return [
        {
            "function": function,
            "args": _arguments(given),
            "results": [*_results(given, right), *(right if wrapped else [])],
        }
        for given, right in zip(inputs, outputs, strict=True)
    ]


def _first(value: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((value[name] for name in names if value.get(name) is not None), None)


def _lines(value: Any) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _arguments(given: Any) -> list[Any]:
    """Return a function's arguments: a list, or JSON text with one on each line (LiveCodeBench)."""
    if isinstance(given, list):
        return given
    if not isinstance(given, str):
        raise ValueError("have a function's input that is not a list of its arguments")
    return [_read(line) for line in given.splitlines() if line.strip()]


def _results(given: Any, right: Any) -> list[Any]:
    """Return what a text may mean: JSON, and beside a list of arguments (TACO) the text itself."""
    read = _read(right)
    return [read, right] if isinstance(given, list) and read != right else [read]


def _read(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except NOT_JSON:
        return text
