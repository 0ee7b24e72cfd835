"""Tables written before they had columns that may be null."""

from pathlib import Path

import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from persyn_kedro.foundations.tables.added import with_added
from persyn_kedro.foundations.tables.registry import COLUMNS
from tests.support.good_rows import rows_of


@pytest.mark.parametrize(
    ("table", "new"),
    [
        ("token_statistics", ["sample_index", "local_logp"]),
        ("quality", ["sample_index"]),
        ("rewards", ["sample_index", "valid_samples", "reward_sd"]),
    ],
)
def test_what_an_older_table_lacks_is_null(table: str, new: list[str], tmp_path: Path) -> None:
    whole = rows_of(table, {})
    pq.write_table(whole.drop_columns(new), tmp_path / "old.parquet")
    found = with_added(pads.dataset(tmp_path / "old.parquet"), COLUMNS[table])
    assert found.schema.equals(COLUMNS[table])
    (row,) = found.to_table().to_pylist()
    assert row == {**whole.to_pylist()[0], **dict.fromkeys(new)}
