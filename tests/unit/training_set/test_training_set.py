"""Routed generation with verification, and what may be trained on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from persyn_kedro.domain.routers.assignment import ranked
from persyn_kedro.domain.training_set.routed import routed_generation
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.tables import schemas
from tests.support.tables import prompts_of, sft_rows

TEACHERS = ["strong", "middle", "weak"]
# p1: weak first and right; p2: weak first and wrong, strong right; p3: nobody is right.
SCORES = {"p1": [0.0, -1.0, 1.0], "p2": [0.5, 0.0, 1.0], "p3": [1.0, 0.5, 0.0]}
RIGHT = {("p1", "weak"), ("p2", "strong")}


def run(
    settings: GenerateSettings, truncated: tuple[str, str] | None = None
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    def ask(wanted: dict[str, list[tuple[str, str]]]) -> tuple[pa.Table, pa.Table]:
        rows = [
            {
                "teacher": t,
                "prompt_id": p,
                "response_key": f"{t}:{p}",
                "finish_reason": "length" if (p, t) == truncated else "stop",
            }
            for t, pairs in wanted.items()
            for p, _ in pairs
        ]
        calls = [
            {name: len(wanted.get(t, [])) for name in schemas.CALLS.names} | {"teacher": t}
            for t in TEACHERS
        ]
        return (
            pa.Table.from_pylist(rows, schemas.OUTCOMES),
            pa.Table.from_pylist(calls, schemas.CALLS),
        )

    def check(responses: pa.Table) -> pa.Table:
        rows = [
            {**row, "quality": float((row["prompt_id"], row["teacher"]) in RIGHT)}
            for row in responses.to_pylist()
        ]
        return pa.Table.from_pylist(rows, schemas.QUALITY)

    def texts(outcomes: pa.Table) -> Iterator[pa.RecordBatch]:
        rows = [{**row, "response": f"of {row['response_key']}"} for row in outcomes.to_pylist()]
        yield pa.RecordBatch.from_pylist(rows, schemas.RESPONSES)

    prompts = prompts_of({p: f"text of {p}" for p in SCORES})
    choices = ranked(np.array(list(SCORES.values())), settings.max_calls)
    responses, calls = routed_generation(
        prompts, choices, TEACHERS, settings, False, ask, check, texts
    )
    rows = responses.read_all().to_pylist()
    assert all(row["response"] == f"of {row['teacher']}:{row['prompt_id']}" for row in rows)
    return rows, {r["teacher"]: r["calls"] for r in calls.to_pylist()}


@pytest.mark.parametrize(
    ("verification", "answers", "calls"),
    [
        (
            "keep",
            {("p1", "weak"), ("p2", "weak"), ("p3", "strong")},
            {"strong": 1, "middle": 0, "weak": 2},
        ),
        ("drop", {("p1", "weak")}, {"strong": 1, "middle": 0, "weak": 2}),
        # p2 goes on to strong, p3 to middle, whose answer is wrong too.
        (
            "next_choice",
            {("p1", "weak"), ("p2", "strong")},
            {"strong": 2, "middle": 1, "weak": 2},
        ),
    ],
)
def test_verification(
    verification: str, answers: set[tuple[str, str]], calls: dict[str, int]
) -> None:
    rows, made = run(GenerateSettings(verification=verification, max_calls=2))  # type: ignore[arg-type]
    assert {(row["prompt_id"], row["teacher"]) for row in rows} == answers
    assert made == calls


def test_a_right_answer_that_was_cut_off_is_asked_of_the_next_choice_too() -> None:
    settings = GenerateSettings(verification="next_choice", max_calls=2)
    rows, made = run(settings, truncated=("p1", "weak"))
    assert made["strong"] == 3
    assert ("p1", "weak") not in {(row["prompt_id"], row["teacher"]) for row in rows}


@pytest.mark.parametrize(("allow_truncated", "kept"), [(False, ["p1"]), (True, ["p1", "p2"])])
def test_errors_empty_and_truncated_responses_are_left_out(
    allow_truncated: bool, kept: list[str]
) -> None:
    reasons = {"p1": "stop", "p2": "length", "p3": "error", "p4": "stop"}
    texts = {"p1": "<think>hm</think>4", "p2": "cut", "p3": "", "p4": " \n"}
    routed = [
        {"prompt_id": p, "teacher": "t", "finish_reason": r, "response": texts[p]}
        for p, r in reasons.items()
    ]
    table = sft_rows(
        pa.Table.from_pylist(routed, schemas.ROUTED_RESPONSES),
        {p: {"prompt": f"{p}?", "part": "withheld" if p == "p1" else "fit"} for p in reasons},
        {p: [1.0] for p in reasons},
        {("p1", "t"): 0.25},
        {"t": "strip"},
        "Be kind.",
        allow_truncated,
    )
    assert [row["prompt_id"] for row in table] == kept
    first = table[0]
    assert [m["role"] for m in first["prompt"]] == ["system", "user"]
    assert first["completion"] == [{"role": "assistant", "content": "4"}]
    assert (first["reward"], first["part"]) == (0.25, "withheld")
