"""Which code of an answer is run, when outputs are the same, and who judges what."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from hypothesis import given, strategies as st

from persyn_kedro.domain.quality.checking import check_can_be_judged, check_quality
from persyn_kedro.domain.quality.code import sandbox
from persyn_kedro.domain.quality.code.inside import same_output
from persyn_kedro.domain.quality.code_tests import CodeTests, check_sandbox, code_checker, code_of
from persyn_kedro.domain.quality.first_that_can import FirstThatCan
from persyn_kedro.domain.quality.kinds import scorer_of
from persyn_kedro.domain.quality.scorer import Answer, Scorer
from persyn_kedro.domain.quality.verifier import EXACT, can_judge, verifier_of
from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.domain.training_set.checking import quality_checker
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.label import LabelSettings, QualitySettings, QualityTerm
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.references import stored

CODE, TESTS = QualitySettings(kind="code"), [{"code": "assert True"}]


def row(reference: str | None = None, tests: Any = None) -> dict[str, Any]:
    return {"prompt_id": "p", "source": "s", **stored([reference] if reference else [], tests)}


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ("print(1)", "print(1)"),
        ("```python\nprint(1)\n```", "print(1)\n"),
        ("First:\n```\nold\n```\nthen\n~~~py\nnew\n~~~\nDone.", "new\n"),
        ("```python\ndef f():\n    return '''```'''\n```\n", "def f():\n    return '''```'''\n"),
        ("````md\n```\ninner\n```\n````", "```\ninner\n```\n"),
        ("```python\ncut off", "cut off"),
        ("Use ```f``` here", "Use ```f``` here"),
        ("So:\r\n```py\r\nif x:\r\n  f()\r\n```\r\nDone.", "if x:\r\n  f()\r\n"),
        ("1. So:\n   ```python\n   if x:\n       f()\n\n   ```\n   Done.", "if x:\n    f()\n\n"),
        ("- a\n  - b\n\n    ```\n    f()\n    ```\n\n  Done.", "f()\n"),
        ("\t```\n\tf()\n\t```\nDone.", "f()\n"),
        ("```\ndef f():\n    \"\"\"\n    ```\n    f()\n    ```\n    \"\"\"\n```\n",
         "def f():\n    \"\"\"\n    ```\n    f()\n    ```\n    \"\"\"\n"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_last_fenced_block_is_the_code(response: str, code: str) -> None:
    assert code_of(response) == code


@pytest.mark.parametrize("part", ["~", "`", "    ", "~~~ a", "a\n"])
def test_a_response_of_a_million_characters_is_searched_once(part: str) -> None:
    """One that is searched again from each character takes hours; no block begins here."""
    text = part * (10**6 // len(part))
    assert code_of(text) == text


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        ("5\n", "5", True),
        ("1  2 \n\n3", "1 2\n3\n", True),
        ("1 2 3", "1 2\n3", False),
        ("5.0", "5", True),
        ("0.3333334", "0.3333333", True),
        ("0.334", "0.333", False),
        ("1e-7", "0.0", True),
        ("yes", "Yes", False),
        ("10000000000000000001", "10000000000000000000", False),
        ("-10000000001", "-10000000002", False),
        ("nan", "nan", True),
        ("", "0", False),
    ],
)
def test_outputs_are_compared_line_by_line(found: str, expected: str, same: bool) -> None:
    assert same_output(found, expected) is same


@given(st.text())
def test_an_output_is_the_same_as_itself(text: str) -> None:
    assert same_output(text, text)


class Fixed(Scorer):
    """Gives the same quality to all; keeps what it was asked."""

    def __init__(self, name: str, able: bool, value: float) -> None:
        self.name, self.able, self.value, self.asked = name, able, value, 0

    @property
    def identity(self) -> dict[str, str]:
        return {"kind": self.name}

    def judges(self, prompt: Any) -> bool:
        return self.able or prompt["reference"] is not None

    def scores(self, answers: Any) -> Any:
        for answer in answers:
            self.asked += 1
            yield answer.key, self.value


def test_each_prompt_is_judged_by_the_first_that_can(tmp_path: Any) -> None:
    first, second = Fixed("first", False, 0.25), Fixed("second", True, 7.0)
    both, store = FirstThatCan((first, second)), QualityStore(tmp_path)
    answers = [Answer(("a", "1"), row("5"), "x"), Answer(("b", "1"), row(), "x")]
    assert both.qualities(answers, store) == {("a", "1"): 0.25, ("b", "1"): 7.0}
    assert first.stored(store)["response_key"].to_pylist() == ["a"]
    assert both.qualities(answers, store, both.stored(store)) == dict(both.scores(answers))
    assert (first.asked, second.asked) == (2, 2)  # of the store, nothing was asked again
    assert FirstThatCan((first,)).qualities(answers[1:], store) == {("b", "1"): None}


def test_what_is_right_is_said_by_tests_only_where_code_is_run() -> None:
    models = Models({})
    terms = [QualityTerm(kind="exact_answer"), QualityTerm(kind="code")]
    assert verifier_of(QualitySettings()) is EXACT
    assert verifier_of([QualityTerm(kind="q.py:f")]) is EXACT
    ways = verifier_of(CODE).ways  # type: ignore[attr-defined]
    assert [type(way) for way in ways] == [CodeTests, type(EXACT)]
    assert verifier_of(terms).ways[0] is EXACT  # type: ignore[attr-defined]
    calls: Any = None  # no judge is among them
    assert isinstance(scorer_of(terms, models, calls), FirstThatCan)
    assert scorer_of(terms[:1], models, calls) is EXACT
    assert can_judge([row(tests=TESTS)], CODE)
    assert not can_judge([row(tests=TESTS)], QualitySettings())
    assert can_judge([row()], QualitySettings(kind="q.py:f"))


@pytest.mark.parametrize(
    ("quality", "prompts", "refused"),
    [
        ({"kind": "code"}, [row("5")], "No calibration prompt has tests"),
        ({"kind": "code"}, [row(), row(tests=TESTS)], None),
        ([{"kind": "code"}, {"kind": "exact_answer"}], [row("5")], None),
        ([{"kind": "code"}, {"kind": "exact_answer"}], [row()], "No calibration prompt has tests"),
        ([{"kind": "exact_answer"}], [row(tests=TESTS)], "has a reference to check"),
        ([{"kind": "exact_answer"}, {"kind": "q.py:f"}], [row()], None),
    ],
)
def test_prompts_that_cannot_be_judged_are_refused(
    quality: Any, prompts: list[dict[str, Any]], refused: str | None
) -> None:
    settings = LabelSettings(quality=quality)
    check_can_be_judged(prompts, settings.model_copy(update={"alpha": 1.0}))
    if refused is None:
        check_can_be_judged(prompts, settings)
        return
    with pytest.raises(PersynError, match=refused):
        check_can_be_judged(prompts, settings)


def test_no_sandbox_is_refused_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.Sandbox, "_why_not", lambda *_: "forbidden")
    check_sandbox(QualitySettings())
    with pytest.raises(PersynError, match="bubblewrap .* does not work here .forbidden."):
        check_sandbox([QualityTerm(), QualityTerm(kind="code")])
    check_sandbox(QualitySettings(kind="code", allow_unsandboxed=True))


def test_the_limits_are_part_of_the_identity_and_so_is_the_lack_of_a_sandbox(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = code_checker(CODE).identity
    allowed = code_checker(QualitySettings(kind="code", allow_unsandboxed=True))
    for fault, more in ((None, {}), ("forbidden", {"sandbox": "none"})):
        monkeypatch.setattr(sandbox, "bubblewrap_fault", lambda fault=fault: fault)
        assert allowed.identity == {**plain, **more}
    for change in ({"cpu_seconds": 7}, {"memory_mb": 64}, {"container": "python:3.12"}):
        assert code_checker(QualitySettings(kind="code", **change)).identity != plain


def test_an_answer_that_the_sandbox_failed_on_is_noted_to_be_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not so without tests, or with tests that do not compile: another run finds the same."""
    monkeypatch.setattr(sandbox.Sandbox, "command", lambda _: ())
    monkeypatch.setattr(
        sandbox.Sandbox, "passed", lambda _, code, tests: None if "fails" in code else [True]
    )
    broken = [{"code": "assert ("}]
    prompts = {
        name: {**row(tests=tests), "prompt_id": name}
        for name, tests in {"p": TESTS, "broken": broken, "none": None}.items()
    }
    texts = {"1": ("p", "fine"), "2": ("p", "fails"), "3": ("broken", "fails"), "4": ("none", "")}
    answered = [
        {
            "response_key": key, "prompt_id": prompt_id, "response": response, "teacher": "a",
            "finish_reason": "stop", "sample_index": 0,
        }
        for key, (prompt_id, response) in texts.items()
    ]  # fmt: skip
    table = pa.Table.from_pylist(answered, schemas.RESPONSES)
    store = QualityStore(tmp_path)
    for scorer in (code_checker(CODE), FirstThatCan((code_checker(CODE), EXACT))):
        found = check_quality(table, prompts, {"a": "keep"}, scorer, store)
        assert found["quality"].to_pylist() == [1.0, None, None, None]
        assert schemas.unsettled_rows(found.schema) == 1
    source = pads.dataset(pa.Table.from_pylist(list(prompts.values()), schemas.SOURCE_PROMPTS))
    check = quality_checker(
        source, {"a": "keep"}, store, lambda some: some.to_batches(1), verifier_of(CODE)
    )
    assert schemas.unsettled_rows(check(table).schema) == 1
