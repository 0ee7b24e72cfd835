"""A table that breaks its rules is not saved: the sentence, the catalog, and what is streamed."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st
from kedro.io.core import DatasetError, Version

from persyn_kedro.datasets.parquet_table import ROW_GROUP, ParquetTable
from persyn_kedro.domain.rewards.reward import compute_rewards
from persyn_kedro.domain.routers.assignment import with_pool
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.registry import COLUMNS
from persyn_kedro.foundations.tables.rows import TableRows, read_blocks
from persyn_kedro.foundations.tables.schemas import unsettled_rows, with_unsettled
from tests.support.catalog import entries
from tests.support.good_rows import GOOD, ID, check, refusal, rows_of


def test_the_sentence_names_table_column_rule_value_and_row() -> None:
    sentence = refusal("rewards", rows_of("rewards", {"teacher": "b"}, {"reward": 1.5}))
    assert sentence == (
        "Table rewards was not saved: reward must be null or from 0 to 1, but is 1.5 in row 2 "
        f"(prompt_id {ID}, teacher a)."
    )


def test_every_table_of_the_catalog_names_its_rules() -> None:
    tables = {n: e for n, e in entries().items() if e["type"].endswith("ParquetTable")}
    kinds = {name: entry.get("table") for name, entry in tables.items()}
    assert set(kinds.values()) == set(COLUMNS)
    assert {n: k for n, k in kinds.items() if n in COLUMNS} == {k: k for k in COLUMNS if k in kinds}


def test_rules_that_are_not_there_are_refused() -> None:
    with pytest.raises(PersynError, match="Unknown table 'reward'"):
        ParquetTable(filepath="rewards.parquet", table="reward")


def stream(count: int, size: int, broken: int | None = None) -> pa.RecordBatchReader:
    """Return assignments in batches; one row may have a margin below 0."""

    def batches():
        for start in range(0, count, size):
            rows = [
                {
                    **GOOD["assignments"],
                    "prompt_id": text_id(str(i)),
                    "margin": -1.0 if i == broken else 1.0,
                }
                for i in range(start, min(start + size, count))
            ]
            yield pa.RecordBatch.from_pylist(rows, schemas.ASSIGNMENTS)

    return pa.RecordBatchReader.from_batches(with_pool([]), batches())


def test_a_stream_whose_second_part_is_broken_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "assignments.parquet"
    dataset = ParquetTable(filepath=str(root), table="assignments", version=Version(None, "v"))
    with pytest.raises(DatasetError) as caught:
        dataset.save(stream(ROW_GROUP + 10, ROW_GROUP, broken=ROW_GROUP + 4))
    assert isinstance(caught.value.__cause__, PersynError)
    assert f"margin must be finite and 0 or more, but is -1.0 in row {ROW_GROUP + 5} " in str(
        caught.value.__cause__
    )
    assert list(root.iterdir()) == []
    assert not dataset.exists()


def test_a_table_from_before_a_column_was_added_has_nulls_there(tmp_path: Path) -> None:
    root = tmp_path / "responses.parquet"
    rows = rows_of("responses", {}, {"response": "5", "prompt_id": text_id("q")})
    old = with_unsettled(rows.drop_columns(["cached_prompt_tokens"]), 3)
    ParquetTable(filepath=str(root), version=Version(None, "v")).save(old)
    dataset = ParquetTable(
        filepath=str(root), table="responses", version=Version(None, None)
    ).load()
    columns = ["response", "cached_prompt_tokens"]
    for table in (
        dataset.to_table(columns=columns),
        TableRows(dataset, columns).take(np.arange(2)),
        pa.Table.from_batches(read_blocks(dataset, columns)),
    ):
        assert [tuple(row.values()) for row in table.to_pylist()] == [("4", None), ("5", None)]
    assert unsettled_rows(dataset.schema) == 3


def test_a_good_stream_of_small_batches_is_saved(tmp_path: Path) -> None:
    root = tmp_path / "assignments.parquet"
    dataset = ParquetTable(filepath=str(root), table="assignments", version=Version(None, "v"))
    dataset.save(stream(50, 16))
    assert [path.name for path in root.iterdir()] == ["v"]


# Reward models score in float32, and a log-likelihood is never above 0.
any_number = st.floats(width=32)
scores = st.one_of(st.none(), any_number)
sums = st.one_of(st.none(), any_number.map(lambda x: -abs(x)))
answers = st.tuples(
    scores,
    sums,
    st.integers(0, 5),
    st.sampled_from(["", "text"]),
    st.sampled_from(["stop", "length"]),
)


@given(
    st.lists(st.lists(st.one_of(st.none(), answers), min_size=3, max_size=3), max_size=4),
    st.sampled_from([0.0, 0.4, 1 / 3, 1.0]),
    st.booleans(),
    st.sampled_from(["keep", "leave_out"]),
)
def test_any_rewards_that_are_computed_pass(prompts, alpha, allowed, unsolved) -> None:
    responses, statistics, quality = [], [], []
    for number, answers_of_prompt in enumerate(prompts):
        for teacher, found in zip("abc", answers_of_prompt, strict=True):
            if found is None:
                continue
            q, sum_logp, tokens, text, reason = found
            prompt_id = text_id(str(number))
            row = {"response_key": text_id(prompt_id + teacher)}
            place = {"prompt_id": prompt_id, "teacher": teacher, "sample_index": 0}
            responses.append({**place, **row, "response": text, "finish_reason": reason})
            statistics.append({**row, "tokens": tokens, "sum_logp": sum_logp})
            quality.append({**row, "quality": q})
    settings = LabelSettings(alpha=alpha, allow_truncated=allowed, unsolved=unsolved)
    table = compute_rewards(
        pa.Table.from_pylist(responses, schemas.RESPONSES),
        pa.Table.from_pylist(statistics, schemas.TOKEN_STATISTICS),
        pa.Table.from_pylist(quality, schemas.QUALITY),
        ["a", "b", "c"],
        settings,
    )
    check("rewards", table)
