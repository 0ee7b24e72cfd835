"""Data in an object store: data sets and stores. The whole DAG: tests/dag/test_bucket.py."""

import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from kedro.io.core import DatasetError, Version

from persyn_kedro.cli.prune import removable, remove
from persyn_kedro.datasets.atomic import RECORD_FILE
from persyn_kedro.datasets.documents import JsonDocument
from persyn_kedro.datasets.newest_table import NewestTable
from persyn_kedro.datasets.parquet_table import ParquetTable
from persyn_kedro.domain.prompts.sources import read_rows
from persyn_kedro.domain.stores.parts import PartStore
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.import_answers import import_responses
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.identities import source_identity
from persyn_kedro.foundations.settings.prepare import PromptSource
from persyn_kedro.foundations.storage.paths import place
from tests.support.catalog import versioned
from tests.support.prompt_files import fill, read

SCHEMA = pa.schema([("response_key", pa.string()), ("text", pa.string()), ("error", pa.string())])
TABLE = pa.table({"a": list(range(5)), "b": ["x"] * 5})


def row(key: str, text: str | None, error: str | None = None) -> dict[str, Any]:
    return {"response_key": key, "text": text, "error": error}


def test_two_writers_of_one_shelf_see_each_others_rows(url: str) -> None:
    one, other = PartStore(place(url), SCHEMA), PartStore(place(url), SCHEMA)
    assert len(one.read("shelf")) == 0
    one.append("shelf", [row("a", None, "no"), row("b", "first")])
    other.append("shelf", [row("a", "mended")])
    one.append("shelf", [row("b", None, "late failure")])
    for store in (one, other):
        texts = {r["response_key"]: r["text"] for r in store.read("shelf").to_pylist()}
        assert texts == {"a": "mended", "b": "first"}
    one.describe("shelf", {"model": "m"})
    one.note_import({"rows": 1})
    assert other.imported() and (place(url) / "shelf" / "identity.json").exists()


def test_a_damaged_part_is_set_aside(url: str) -> None:
    store = PartStore(place(url), SCHEMA)
    store.append("shelf", [row("a", "kept")])
    broken = place(url) / "shelf" / "part-0-x.parquet"
    broken.write_bytes(b"PAR1 cut off")
    assert store.read("shelf")["response_key"].to_pylist() == ["a"]
    assert not broken.exists() and (place(url) / "shelf" / "part-0-x.corrupt").exists()


def test_a_version_is_what_a_disk_would_hold_and_can_be_made_the_newest(
    url: str, tmp_path: Path
) -> None:
    versioned(ParquetTable, tmp_path / "t.parquet", "1").save(TABLE)
    for version in "12":
        versioned(ParquetTable, f"{url}/t.parquet", version).save(TABLE.slice(int(version) - 1))
    local = versioned(ParquetTable, tmp_path / "t.parquet")
    remote = versioned(ParquetTable, f"{url}/t.parquet", "3")
    assert remote.versions() == ["2", "1"] and remote.newest() == "2"
    assert remote.record("1")["content"] == local.record("1")["content"]
    assert isinstance(remote.load(), pads.Dataset)
    assert remote.load_version("1").to_table().equals(TABLE)
    assert remote.renew("1") == "3"
    newest = versioned(ParquetTable, f"{url}/t.parquet")
    assert newest.load().to_table().equals(TABLE)
    assert newest.statistics()["rows"] == 5
    assert pickle.loads(pickle.dumps(newest.load())).to_table().equals(TABLE)
    assert NewestTable(filepath=f"{url}/t.parquet").load().to_table().equals(TABLE)
    with pytest.raises(DatasetError, match="must not exist"):
        versioned(ParquetTable, f"{url}/t.parquet", "3").save(TABLE)


def test_a_save_that_was_cut_off_is_no_version_and_can_be_pruned(url: str) -> None:
    whole, cut = (versioned(JsonDocument, f"{url}/d.json", v) for v in "12")
    whole.save({"a": 1})
    cut.save({"a": 2})
    (place(url) / "d.json" / "2" / RECORD_FILE).unlink()
    found = versioned(JsonDocument, f"{url}/d.json")
    assert found.exists() and found.versions() == ["1"] and found.load() == {"a": 1}
    catalog = {"d": found}
    (item,) = removable(type("Catalog", (dict,), {})(catalog), 1)
    assert item.version == "2" and item.size > 0
    remove([item])
    assert [p.name for p in (place(url) / "d.json").iterdir()] == ["1"]


def test_a_save_that_is_killed_in_the_middle_is_no_version(
    url: str, s3_server: dict[str, str]
) -> None:
    """SIGKILL once the data are there and the record is not; the same version can be saved then."""
    versioned(ParquetTable, f"{url}/t.parquet", "1").save(TABLE)
    code = (
        "import os, signal, sys, pyarrow as pa\n"
        "from kedro.io.core import Version\n"
        "from persyn_kedro.datasets import atomic\n"
        "from persyn_kedro.datasets.parquet_table import ParquetTable\n"
        "send = atomic.send\n"
        "def die(*given):\n"
        "    send(*given)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "atomic.send = die\n"
        "table = ParquetTable(filepath=sys.argv[1], version=Version(None, '2'))\n"
        "table.save(pa.table({'a': [0]}))\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, f"{url}/t.parquet"])
    assert killed.returncode == -signal.SIGKILL
    assert (place(url) / "t.parquet" / "2" / "t.parquet").exists()
    found = versioned(ParquetTable, f"{url}/t.parquet")
    assert found.versions() == ["1"] and found.load().to_table().equals(TABLE)
    assert not ParquetTable(filepath=f"{url}/t.parquet", version=Version("2", None)).exists()
    versioned(ParquetTable, f"{url}/t.parquet", "2").save(TABLE.slice(1))
    assert versioned(ParquetTable, f"{url}/t.parquet").load().to_table().equals(TABLE.slice(1))


def test_a_stream_that_breaks_off_leaves_nothing(url: str) -> None:
    def dying() -> Iterator[pa.RecordBatch]:
        yield from TABLE.to_batches()
        raise ValueError("the node's own")

    reader = pa.RecordBatchReader.from_batches(TABLE.schema, dying())
    with pytest.raises(DatasetError, match="the node's own"):
        versioned(ParquetTable, f"{url}/t.parquet", "1").save(reader)
    assert not (place(url) / "t.parquet").exists()


def test_prompts_are_read_by_url(url: str) -> None:
    file = place(f"{url}/p.jsonl")
    file.write_bytes(b'{"prompt": "2 + 3?", "reference": "5"}\n')
    source = PromptSource(file=f"{url}/p.jsonl")
    assert [row["prompt"] for row in read_rows(source, 1)] == ["2 + 3?"]
    first = source_identity(source)
    file.write_bytes(b'{"prompt": "2 + 4?", "reference": "6"}\n')
    assert first and source_identity(source) != first
    with pytest.raises(PersynError, match="none.jsonl does not exist"):
        list(read_rows(PromptSource(file=f"{url}/none.jsonl"), 1))


def test_answers_are_imported_by_url(url: str) -> None:
    file = place(f"{url}/answers.jsonl")
    file.write_bytes(b'{"prompt": "2 + 3?", "teacher": "nobody", "response": "5"}\n')
    store = ResponseStore(place(f"{url}/store"))
    with pytest.raises(PersynError, match="[Ll]ine 1 of s3://.*answers.jsonl.*nobody"):
        import_responses(file, [], store)
    with pytest.raises(PersynError, match="none.jsonl does not exist"):
        import_responses(place(f"{url}/none.jsonl"), [], store)


def test_a_data_set_is_not_taken_for_another_whose_name_begins_with_its_own(url: str) -> None:
    versioned(JsonDocument, f"{url}/router_curve", "1").save({})
    assert not versioned(JsonDocument, f"{url}/router").exists()
    versioned(JsonDocument, f"{url}/router", "2").save({})
    assert versioned(JsonDocument, f"{url}/router").versions() == ["2"]


def test_files_of_an_object_store_are_read_alike(url: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        fill(Path(directory))
        for file in Path(directory).rglob("*"):
            if file.is_file():
                name = file.relative_to(directory).as_posix()
                with place(f"{url}/d/{name}").open("wb") as there, file.open("rb") as here:
                    shutil.copyfileobj(here, there)
        assert read(f"{url}/d") == read(directory)
        assert read(f"{url}/d/*.jsonl") == read(f"{directory}/*.jsonl")
        here, there = (source_identity(PromptSource(file=f)) for f in (directory, f"{url}/d"))
        assert here == there is not None
    with pytest.raises(PersynError, match="none.* does not exist"):
        read(f"{url}/none*.jsonl")
