"""The strategies' training sets: the same prompts, and what is left out and why."""

from typing import Any

import pyarrow as pa
import pytest

from persyn_kedro.domain.comparison.strategies.examples import Trainable, strategy_examples
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.compare import CompareSettings
from persyn_kedro.foundations.tables import schemas

IDS = ["p0", "p1", "p2"]


def examples_of(
    responses: dict[str, dict[str, str]], too_long: tuple[str, ...] = (), **settings: Any
) -> tuple[dict[str, list[str]], dict[str, Any]]:
    rows = [
        {
            "strategy": name,
            "teacher": "big",
            "prompt_id": p,
            "response_key": f"big:{p}",
            "finish_reason": reason,
            "response": "" if reason == "error" else f"to {p}",
        }
        for name, own in responses.items()
        for p, reason in own.items()
    ]
    table, notes = strategy_examples(
        pa.Table.from_pylist(rows, schemas.STRATEGY_RESPONSES),
        {name: list(own) for name, own in responses.items()},
        {p: f"text of {p}" for p in IDS},
        Trainable(
            {"big": "strip"},
            allow_truncated=False,
            fits=lambda prompt, response: prompt not in [f"text of {p}" for p in too_long],
        ),
        CompareSettings(**settings),
    )
    found: dict[str, list[str]] = {}
    for row in table.to_pylist():
        found.setdefault(row["strategy"], []).append(row["prompt_id"])
        prompt_id = row["prompt_id"]
        assert (row["prompt"], row["response"]) == (f"text of {prompt_id}", f"to {prompt_id}")
    return found, notes


@pytest.mark.parametrize(
    ("common", "expected"),
    [
        (
            True,
            {"persyn": ["p1"], "strong": ["p1"], "oracle": ["p0"], "persyn_calibration": ["p0"]},
        ),
        (
            False,
            {
                "persyn": ["p0", "p1"],
                "strong": ["p1", "p2"],
                "oracle": ["p0", "p1"],
                "persyn_calibration": ["p0"],
            },
        ),
    ],
)
def test_strategies_share_their_prompts(common: bool, expected: dict[str, list[str]]) -> None:
    responses = {
        "persyn": {"p1": "stop", "p0": "stop", "p2": "length"},
        "strong": {"p0": "error", "p1": "stop", "p2": "stop"},
        "oracle": {"p0": "stop", "p1": "stop"},
        "persyn_calibration": {"p0": "stop", "p1": "error"},
    }
    found, notes = examples_of(responses, examples="common" if common else "own")
    assert found == expected
    assert notes["left_out"] == {}
    assert notes["prompts"] == {"persyn": 3, "strong": 3, "oracle": 2, "persyn_calibration": 2}
    assert notes["usable"] == {"persyn": 2, "strong": 2, "oracle": 2, "persyn_calibration": 1}


def test_what_is_too_long_for_one_student_is_left_out_for_all() -> None:
    every = dict.fromkeys(IDS, "stop")
    found, _ = examples_of({"persyn": every, "strong": every}, too_long=("p1",))
    assert found == {"persyn": ["p0", "p2"], "strong": ["p0", "p2"]}


def test_a_strategy_with_next_to_nothing_is_left_out_instead_of_the_prompts() -> None:
    every = dict.fromkeys(IDS, "stop")
    weak = {"p0": "stop", "p1": "error", "p2": "length"}
    found, notes = examples_of({"persyn": every, "mix": weak, "car": dict.fromkeys(IDS, "error")})
    assert found == {"persyn": IDS}
    assert notes["left_out"] == {
        "mix": "only 1 of its 3 answers are usable",
        "car": "only 0 of its 3 answers are usable",
    }
    assert set(examples_of({"persyn": every, "mix": weak}, min_share=0.3)[0]) == {"persyn", "mix"}
    with pytest.raises(PersynError, match="PerSyn cannot be compared: only 1 of its 3 answers"):
        examples_of({"persyn": weak, "mix": every})


def test_strategies_whose_students_are_trained_later_already_shape_the_common_prompts() -> None:
    every = dict.fromkeys(IDS, "stop")
    responses = {"persyn": every, "mix": {**every, "p1": "error"}}
    now, notes = examples_of(responses, students=["persyn"])
    later, _ = examples_of(responses)
    assert now == {"persyn": ["p0", "p2"]} == {"persyn": later["persyn"]}
    assert notes["left_out"] == {"mix": "no student is trained (compare.students)"}
    assert notes["usable"] == {"persyn": 3, "mix": 2}


def test_strategies_without_a_prompt_in_common_are_refused_by_name() -> None:
    responses = {"persyn": {"p0": "stop"}, "strong": {"p1": "stop"}}
    with pytest.raises(PersynError, match="in every strategy .persyn has the fewest, 1"):
        examples_of(responses)
