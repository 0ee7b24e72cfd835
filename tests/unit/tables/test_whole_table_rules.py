"""What holds for all rows of a table together: its keys, its columns, the scores' length."""

import pyarrow as pa
import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.tables.checks import TableCheck
from persyn_kedro.foundations.tables.registry import COLUMNS, TABLES
from tests.support.good_rows import OTHER_ID, another, check, refusal, rows_of

KEYS = [
    ("source_prompts", "prompt_id"),
    ("prompts", "prompt_id"),
    ("calibration_set", "prompt_id"),
    ("responses", "prompt_id and teacher and sample_index"),
    ("calls", "teacher"),
    ("plan", "step and teacher"),
    ("token_statistics", "prompt_id and teacher and sample_index"),
    ("quality", "prompt_id and teacher and sample_index"),
    ("rewards", "prompt_id and teacher"),
    ("assignments", "prompt_id"),
    ("routed_responses", "prompt_id and sample_index"),
    ("sft_dataset", "prompt_id and response_key"),
    ("allocations", "strategy and prompt_id"),
    ("variant_scores", "strategy and prompt_id"),
    ("router_scores", "kind and size and repeat and prompt_id"),
    ("strategy_responses", "strategy and prompt_id and sample_index"),
    ("strategy_tokens", "strategy and teacher"),
    ("test_set", "prompt_id"),
    ("strategy_examples", "strategy and prompt_id and response_key"),
    ("trials", "strategy and seed and prompt_id"),
    ("preference_pairs", "prompt_id and chosen and rejected"),
]


@pytest.mark.parametrize(("kind", "key"), KEYS)
@pytest.mark.parametrize("pieces", [1, 2])
def test_keys_are_unique_within_and_across_pieces(kind: str, key: str, pieces: int) -> None:
    table = rows_of(kind, {}, another(kind), {})
    parts = [table] if pieces == 1 else [table.slice(0, 2), table.slice(2)]
    sentence = refusal(kind, *parts)
    assert f"{key} must be unique, but is repeated in row 3 (" in sentence


@pytest.mark.parametrize("kind", ["responses", "token_statistics", "quality", "rewards"])
def test_teachers_may_share_a_prompt(kind: str) -> None:
    check(kind, rows_of(kind, {}, {"teacher": "b"}))


@pytest.mark.parametrize("kind", ["assignments", "sft_dataset"])
@pytest.mark.parametrize("pieces", [1, 2])
def test_scores_have_one_length(kind: str, pieces: int) -> None:
    table = rows_of(kind, {}, {**another(kind), "scores": [1.0, 2.0, 3.0]})
    parts = [table] if pieces == 1 else [table.slice(0, 1), table.slice(1)]
    sentence = refusal(kind, *parts)
    assert "scores must have the same length in all rows (2)" in sentence
    assert f"in row 2 (prompt_id {OTHER_ID}" in sentence


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_are_exactly_the_tables(kind: str) -> None:
    good = COLUMNS[kind]
    assert list(TABLES[kind].checks.columns) and set(TABLES[kind].checks.columns) == set(good.names)
    check(kind, rows_of(kind).replace_schema_metadata({"unsettled": "3"}))
    last = len(good) - 1
    wrongs = [
        (good.remove(0), 1),
        (good.append(pa.field("more", pa.int64())), last + 2),
        (good.set(last, pa.field(good.names[last], pa.binary())), last + 1),
    ]
    if last:  # one column has one order
        wrongs.append((pa.schema([good.field(last), *list(good)[:-1]]), 1))
    for wrong, place in wrongs:
        with pytest.raises(PersynError, match=f"{kind} was not saved: column {place} must be "):
            TableCheck(kind, kind, wrong)
