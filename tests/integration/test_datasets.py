"""Catalog datasets: whole versions only, and tables in row groups of a useful size."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io.core import DatasetError, Version

from persyn_kedro.datasets.handles import Workspace
from persyn_kedro.datasets.parquet_table import ROW_GROUP, ParquetTable

SCHEMA = pa.schema([("n", pa.int64())], metadata={b"pool": b"[]"})


def table_at(directory: Path, version: str = "v1") -> ParquetTable:
    return ParquetTable(filepath=str(directory / "t.parquet"), version=Version(None, version))


def batches(count: int, size: int):
    for start in range(count):
        yield pa.RecordBatch.from_pydict({"n": range(start * size, (start + 1) * size)}, SCHEMA)


def test_small_streamed_batches_share_row_groups_and_keep_the_metadata(tmp_path: Path) -> None:
    count = 2 * ROW_GROUP // 16 + 1
    reader = pa.RecordBatchReader.from_batches(SCHEMA, batches(count, 16))
    table_at(tmp_path).save(reader)
    (file,) = tmp_path.rglob("v1/t.parquet")
    assert pq.ParquetFile(file).num_row_groups == 3
    loaded = ParquetTable(filepath=str(tmp_path / "t.parquet"), version=Version("v1", None)).load()
    assert loaded.schema.metadata == {b"pool": b"[]"}
    assert loaded.to_table()["n"].to_pylist() == list(range(count * 16))


def test_a_save_that_dies_leaves_no_version(tmp_path: Path) -> None:
    def dying():
        yield from batches(1, 16)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        table_at(tmp_path).save(pa.RecordBatchReader.from_batches(SCHEMA, dying()))
    latest = ParquetTable(filepath=str(tmp_path / "t.parquet"), version=Version(None, None))
    assert not latest.exists()


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    table_at(tmp_path).save(SCHEMA.empty_table())
    loaded = ParquetTable(filepath=str(tmp_path / "t.parquet"), version=Version("v1", None)).load()
    assert loaded.to_table().schema.names == ["n"]
    assert ParquetTable.preview(loaded_dataset(tmp_path), nrows=3)["columns"] == ["n"]


def loaded_dataset(directory: Path) -> ParquetTable:
    return ParquetTable(filepath=str(directory / "t.parquet"), version=Version("v1", None))


def test_a_workspace_is_for_one_process_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys; from persyn_kedro.datasets.handles import Workspace;"
        "Workspace(filepath=sys.argv[1]).load(); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "w")]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(DatasetError, match="Another run is training in"):
        Workspace(filepath=str(tmp_path / "w")).load()
    holder.kill()
    holder.wait()
    assert Workspace(filepath=str(tmp_path / "w")).load() == tmp_path / "w"
