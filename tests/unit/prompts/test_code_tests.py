"""Tests of code as the field's data sets hold them."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from persyn_kedro.api.prompts import prompt_table
from persyn_kedro.domain.prompts.sources import read_rows
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.prepare import PromptSource
from persyn_kedro.foundations.tables.code_tests import read_tests, tests_of as in_row
from persyn_kedro.foundations.tables.references import accepted, stored

APPS = {"inputs": ["1\n2\n", ["3", "4"]], "outputs": ["3\n", ["7"]]}
OF_PROGRAM = [{"stdin": "1\n2\n", "stdout": "3\n"}, {"stdin": "3\n4", "stdout": "7"}]


def function(name: str, args: list[Any], *results: Any) -> dict[str, Any]:
    return {"function": name, "args": args, "results": list(results)}


@pytest.mark.parametrize(
    ("value", "tests"),
    [
        (None, []),
        (float("nan"), []),
        (" ", []),
        ([], []),
        # MBPP
        (["assert f(1) == 2", ""], [{"code": "assert f(1) == 2"}]),
        (np.array(["assert f()"], dtype=object), [{"code": "assert f()"}]),
        ("assert f(1) == 2", [{"code": "assert f(1) == 2"}]),
        ("[f(x) for x in y]", [{"code": "[f(x) for x in y]"}]),
        # APPS, TACO
        (APPS, OF_PROGRAM),
        (json.dumps(APPS), OF_PROGRAM),
        (
            {"fn_name": "f", "inputs": [[1, [2]], [3, []]], "outputs": [[5], [6]]},
            [function("f", [1, [2]], [5], 5), function("f", [3, []], [6], 6)],
        ),
        (
            {"fn_name": "f", "inputs": [[1], [2]], "outputs": [[5], [6, 7]]},
            [function("f", [1], [5]), function("f", [2], [6, 7])],
        ),
        (
            {"fn_name": "f", "inputs": [["2", "3"], ["a"]], "outputs": ["6", "b"]},
            [function("f", ["2", "3"], 6, "6"), function("f", ["a"], "b")],
        ),
        # LiveCodeBench
        (
            {"fn_name": "f", "inputs": ['[1, 2]\n"a"'], "outputs": ["true"]},
            [function("f", [[1, 2], "a"], True)],
        ),
        (
            '[{"input": "1", "output": "2", "testtype": "stdin"}]',
            [{"stdin": "1", "stdout": "2"}],
        ),
        # as a text that is no JSON: too long a number, nested too deep
        ("[" * 100_000, [{"code": "[" * 100_000}]),
        ("[" + "1" * 5_000 + "]", [{"code": "[" + "1" * 5_000 + "]"}]),
        (
            {"fn_name": "f", "inputs": [["1" * 5_000]], "outputs": ["1" * 5_000]},
            [function("f", ["1" * 5_000], "1" * 5_000)],
        ),
        # CodeContests
        ({"input": ["1"], "output": ["2"]}, [{"stdin": "1", "stdout": "2"}]),
        ([{"input": [1, 2], "output": [3], "function": "f"}], [function("f", [1, 2], [3], 3)]),
    ],
)
def test_each_form(value: Any, tests: list[dict[str, Any]]) -> None:
    assert read_tests(value) == tests


def test_a_text_that_defines_check_is_called_with_the_function() -> None:
    text = "def check(candidate):\n    assert candidate(1) == 2\n"
    (test,) = read_tests(text, "f")
    exec(test["code"], {"f": lambda x: 2 * x})  # noqa: S102
    with pytest.raises(AssertionError):
        exec(test["code"], {"f": lambda x: x})  # noqa: S102
    functional = [{"input": "1", "output": "2", "testtype": "functional"}]
    assert read_tests(functional, "f") == [function("f", [1], 2)]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (5, "are of type int"),
        ([1], "are a list of neither texts nor objects"),
        ({"a": 1}, r"without inputs and outputs \(its keys: a\)"),
        ({"inputs": ["1"], "outputs": []}, "of different lengths"),
        ({"fn_name": "f", "inputs": [1], "outputs": [2]}, "not a list of its arguments"),
        ("def check(candidate): ...", "no entry_point to call"),
        ([{"input": "1", "output": "2", "testtype": "functional"}], "name it"),
    ],
)
def test_anything_else_is_refused_by_row(value: Any, why: str, tmp_path: Any) -> None:
    with pytest.raises(ValueError, match=why):
        read_tests(value)
    file = tmp_path / "p.jsonl"
    rows = [{"prompt": "a"}, {"prompt": "b", "tests": value}]
    file.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(PersynError, match=rf"The tests of row 2 of p.jsonl .*{why}"):
        list(read_rows(PromptSource(file=str(file)), 1))
    ignoring = PromptSource(file=str(file), tests_column=None)
    assert [row["metadata"] for row in read_rows(ignoring, 1)] == [None, None]


@given(st.lists(st.text()), st.lists(st.dictionaries(st.text(), st.text())))
def test_tests_and_alternatives_come_back(texts: list[str], tests: list[dict[str, str]]) -> None:
    row = stored(texts, tests)
    assert accepted(row) == texts
    assert in_row(row) == tests
    if not tests:
        assert row == stored(texts)  # as before there were tests


def test_a_file_and_python_give_the_same_tests(tmp_path: Any) -> None:
    row = {"prompt": "a", "reference": "5", "test": "def check(f):\n    f()", "entry_point": "go"}
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps(row))
    (read,) = read_rows(PromptSource(file=str(file), tests_column="test"), 1)
    assert read["reference"] == "5"
    assert in_row(read) == [{"code": "def check(f):\n    f()\n\ncheck(go)"}]
    (own,) = prompt_table([{**row, "tests": row["test"]}]).to_pylist()
    assert own["metadata"] == read["metadata"]
    with pytest.raises(PersynError, match="has no column 'cases'"):
        list(read_rows(PromptSource(file=str(file), tests_column="cases"), 1))
    with pytest.raises(PersynError, match="tests of row 1 of the prompts are of type int"):
        prompt_table([{"prompt": "a", "tests": 5}])
