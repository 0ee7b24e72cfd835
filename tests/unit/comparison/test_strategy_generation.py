"""All strategies generate side by side, and each answer is asked for once."""

from typing import Any

import pyarrow as pa

from persyn_kedro.domain.comparison.strategies import rules
from persyn_kedro.domain.comparison.strategies.generation import generate_side_by_side
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.tables import schemas
from tests.support.tables import prompts_of

TEACHERS = ["big", "middle", "small"]
IDS = ["p0", "p1", "p2"]
RIGHT = {("p0", "small"), ("p1", "big")}


def generated(
    allocation: dict[str, rules.Choices], **settings: Any
) -> tuple[dict[str, set[tuple[str, str]]], dict[str, int], list[dict[str, list[str]]]]:
    asked_for: list[dict[str, list[str]]] = []

    def ask(wanted: dict[str, list[tuple[str, str]]]) -> tuple[pa.Table, pa.Table]:
        asked_for.append({t: [p for p, _ in pairs] for t, pairs in wanted.items()})
        rows = [
            {
                "teacher": t,
                "prompt_id": p,
                "response_key": f"{t}:{p}",
                "sample_index": 0,
                "finish_reason": "stop",
            }
            for t, pairs in wanted.items()
            for p, _ in pairs
        ]
        return pa.Table.from_pylist(rows, schemas.RESPONSES), schemas.CALLS.empty_table()

    def check(responses: pa.Table) -> pa.Table:
        rows = [
            {**r, "quality": float((r["prompt_id"], r["teacher"]) in RIGHT)}
            for r in responses.to_pylist()
        ]
        return pa.Table.from_pylist(rows, schemas.QUALITY)

    prompts = prompts_of({p: f"text of {p}" for p in IDS})
    table, asked = generate_side_by_side(
        prompts, allocation, TEACHERS, GenerateSettings(**settings), False, ask, check
    )
    kept: dict[str, set[tuple[str, str]]] = {name: set() for name in allocation}
    for row in table.to_pylist():
        kept[row["strategy"]].add((row["prompt_id"], row["teacher"]))
    return kept, {name: len(rows) for name, rows in asked.items()}, asked_for


ALLOCATION = {
    "persyn": {"p0": ["small", "big"], "p1": ["small", "big"], "p2": ["middle", "big"]},
    "strong": {p: ["big", "middle"] for p in IDS},
}


def test_what_several_strategies_want_is_asked_once() -> None:
    kept, counts, asked_for = generated(ALLOCATION)
    assert asked_for == [{"big": IDS, "middle": ["p2"], "small": ["p0", "p1"]}]
    assert kept["persyn"] == {("p0", "small"), ("p1", "small"), ("p2", "middle")}
    assert kept["strong"] == {(p, "big") for p in IDS}
    assert counts == {"persyn": 3, "strong": 3}


def test_every_strategy_keeps_to_the_rule_of_verification() -> None:
    kept, counts, asked_for = generated(ALLOCATION, verification="next_choice", max_calls=2)
    assert kept["persyn"] == {("p0", "small"), ("p1", "big")}  # p2: both wrong
    assert kept["strong"] == {("p1", "big")}
    assert counts == {"persyn": 5, "strong": 5}
    assert asked_for[1] == {"big": ["p1", "p2"], "middle": ["p0", "p2"]}
    assert generated(ALLOCATION, verification="drop")[0]["strong"] == {("p1", "big")}


def test_verdicts_that_another_run_asks_for_again_leave_the_table_unsettled() -> None:
    """As well as answers: else a judge's failed reply would decide for good which is the best."""
    rows = [
        {"teacher": "big", "prompt_id": p, "response_key": f"{p}:{sample}",
         "sample_index": sample, "finish_reason": "stop"}
        for p in IDS for sample in (0, 1)
    ]  # fmt: skip
    responses = schemas.with_unsettled(pa.Table.from_pylist(rows, schemas.RESPONSES), 1)
    found = pa.Table.from_pylist([{**r, "quality": 1.0} for r in rows], schemas.QUALITY)

    def noted(count: int) -> Any:
        return lambda _: schemas.with_unsettled(found, count)

    def count(settings: GenerateSettings, judge: Any) -> int:
        choices = {"strong": {p: ["big"] for p in IDS}}
        prompts = prompts_of({p: f"text of {p}" for p in IDS})
        asked = (lambda _: (responses, schemas.CALLS.empty_table()), noted(2), judge)
        table, _ = generate_side_by_side(prompts, choices, TEACHERS, settings, False, *asked)
        return schemas.unsettled_rows(table.schema)

    assert count(GenerateSettings(), None) == 1 + 2
    assert count(GenerateSettings(keep="best", samples=2), noted(4)) == 1 + 2 + 4
