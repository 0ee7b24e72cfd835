"""Quality as the weighted mean of several terms, worked out by hand."""

import logging
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from persyn_kedro.domain.rewards.terms import combine_terms
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import Think
from persyn_kedro.foundations.settings.read import read_group
from persyn_kedro.foundations.tables import schemas
from tests.support.good_rows import RESPONSE

BOTH = [{"kind": "exact_answer"}, {"kind": "q.py:f", "weight": 3.0, "name": "own"}]
KEPT: dict[str, Think] = {f"t{n}": "keep" for n in range(5)}
# By prompt: each teacher's verdict and own figure.
TABLE = {
    "a": [(1.0, 10.0), (0.0, 20.0), (0.0, 15.0)],
    "b": [(None, 1.0), (None, 3.0), (None, None)],
    "c": [(0.0, 5.0), (0.0, 7.0), (None, 9.0)],
    "d": [(None, None), (None, None), (None, None)],
}


def tables(table: dict[str, Any]) -> tuple[pa.Table, pa.Table]:
    responses, terms = [], []
    for prompt, values in table.items():
        for n, pair in enumerate(values):
            place = {"prompt_id": prompt, "teacher": f"t{n}", "response_key": f"{prompt}{n}",
                     "sample_index": 0}  # fmt: skip
            responses.append({**RESPONSE, **place, "response": "x", "finish_reason": "stop"})
            for term, quality in zip(("exact_answer", "own"), pair, strict=True):
                terms.append({**place, "term": term, "quality": quality})
    return (
        pa.Table.from_pylist(responses, schemas.RESPONSES),
        pa.Table.from_pylist(terms, schemas.QUALITY_TERMS),
    )


def combined(table: dict[str, Any], **settings: Any) -> dict[str, list[float | None]]:
    responses, terms = tables(table)
    found = combine_terms(responses, terms, KEPT, LabelSettings(quality=BOTH, **settings))
    values = found["quality"].to_pylist()
    return {p: [values.pop(0) for _ in own] for p, own in table.items()}


def test_terms_are_normalised_within_a_prompt_and_weighted() -> None:
    assert combined(TABLE) == {
        # (1 + 3 * 0) / 4, (0 + 3 * 1) / 4, (0 + 3 * 0.5) / 4
        "a": [0.25, 0.75, 0.375],
        # exact_answer is unknown for the prompt and left out; own is for one answer
        "b": [0.0, 1.0, None],
        # no range: 0.5 each; the third is unknown and not in the range of own
        "c": [(0.5 + 0.0) / 4, (0.5 + 3.0) / 4, None],
        "d": [None, None, None],
    }


def test_prompts_that_no_teacher_solves_can_be_left_out() -> None:
    found = combined(TABLE, unsolved="leave_out")
    assert found["c"] == [None, None, None]
    assert found["a"] == [0.25, 0.75, 0.375]
    assert found["b"] == [0.0, 1.0, None]  # nothing says that its answers are wrong


@pytest.mark.parametrize("how", ["prompt_minmax", "prompt_z", "pool_z", "pool_rank"])
def test_if_all_answers_failed_there_is_no_quality(how: str) -> None:
    responses, terms = tables({"a": TABLE["a"]})
    rows = [{**row, "finish_reason": "error"} for row in responses.to_pylist()]
    failed = pa.Table.from_pylist(rows, responses.schema)
    label = LabelSettings.model_validate({"quality": BOTH, "normalise": how})
    assert combine_terms(failed, terms.slice(0, 0), KEPT, label).to_pylist() == []


def test_unusable_answers_are_in_no_range() -> None:
    responses, terms = tables({"a": TABLE["a"]})
    rows = responses.to_pylist()
    rows[1]["finish_reason"] = "length"
    cut = pa.Table.from_pylist(rows, schemas.RESPONSES)
    settings = LabelSettings(quality=BOTH)
    found = combine_terms(cut, terms, KEPT, settings)["quality"].to_pylist()
    assert found == [0.25, None, 0.75]
    allowed = settings.model_copy(update={"allow_truncated": True})
    assert combine_terms(cut, terms, KEPT, allowed)["quality"].to_pylist() == [0.25, 0.75, 0.375]
    rows[1] |= {"finish_reason": "error", "error": "e"}
    failed = pa.Table.from_pylist(rows, schemas.RESPONSES)
    assert combine_terms(failed, terms, KEPT, settings)["response_key"].to_pylist() == ["a0", "a2"]


def test_an_answer_that_is_only_thinking_is_in_no_range() -> None:
    responses, terms = tables({"a": TABLE["a"]})
    rows = responses.to_pylist()
    rows[1]["response"] = "<think>20, as it seems"
    thought = pa.Table.from_pylist(rows, schemas.RESPONSES)
    settings = LabelSettings(quality=BOTH)
    stripped: dict[str, Think] = {**KEPT, "t1": "strip"}
    found = combine_terms(thought, terms, stripped, settings)["quality"].to_pylist()
    assert found == [0.25, None, 0.75]
    found = combine_terms(thought, terms, KEPT, settings)["quality"].to_pylist()
    assert found == [0.25, 0.75, 0.375]


def test_a_term_that_is_unknown_everywhere_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        combined({"b": TABLE["b"]})
    assert "The term exact_answer of label.quality is unknown for all prompts" in caplog.text


@given(
    st.lists(
        st.tuples(st.none() | st.sampled_from([0.0, 1.0]), st.none() | st.floats(-1e6, 1e6)),
        min_size=1,
        max_size=5,
    )
)
def test_whatever_the_values_quality_is_from_0_to_1(values: list[Any]) -> None:
    (found,) = combined({"a": values}).values()
    assert all(q is None or -1e-12 <= q <= 1 + 1e-12 for q in found)
    alone = combined({"a": [(None, own) for _, own in values]})["a"]
    if all(verdict is None for verdict, _ in values):
        assert found == alone


@pytest.mark.parametrize(
    ("quality", "why"),
    [
        ([], "must be a way of judging answers, or a list of at least one"),
        ([{"kind": "exact_answer"}] * 2, "has the term 'exact_answer' twice"),
        ([{"kind": "exact_answer"}, {"kind": "q.py:f", "name": "exact_answer"}], "called 'exact_"),
        ([{"weight": 0}], "label.quality.0.weight: .*greater than 0"),
        ([{"kind": "exact_answer", "wieght": 1}], "Unknown parameter label.quality.0.wieght"),
        ([{"kind": "reward_model"}], "label.quality.0: model must be set"),
        ({"kind": "reward_model"}, "label.quality: model must be set"),
        ({"kind": "exact_answer", "weight": 1}, "Unknown parameter label.quality.weight"),
        ({"cpu_seconds": 3}, "label.quality: cpu_seconds is only for kind: code"),
        ({"kind": "code", "memory_mb": 1}, "label.quality.memory_mb"),
        ({"kind": "judge", "rubric": "correctness"}, "label.quality: model must be set if kind is"),
        ({"kind": "judge", "model": "m"}, "rubric must be set if kind is judge: instruction_foll"),
        ([{"rubric": "correctness"}], "label.quality.0: rubric is only for kind judge, not for ex"),
        (
            {"kind": "judge", "model": "m", "rubric": "correctness", "samples": 2},
            "samples is 2, but sampling.temperature is 0, so all of them",
        ),
        (5, "label.quality"),
    ],
)
def test_bad_terms_are_refused_in_a_sentence(quality: Any, why: str) -> None:
    with pytest.raises(PersynError, match=why):
        read_group("label", {"quality": quality})
