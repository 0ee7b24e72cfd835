"""Data in an object store: data sets and stores. The whole DAG: tests/dag/test_bucket.py."""

import pickle
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from kedro.io.core import DatasetError, Version

from persyn_kedro.datasets.atomic import RECORD_FILE
from persyn_kedro.datasets.documents import JsonDocument
from persyn_kedro.datasets.handles import StoreHandle, Workspace
from persyn_kedro.datasets.model_directory import ModelDirectory
from persyn_kedro.datasets.newest_table import NewestTable
from persyn_kedro.datasets.parquet_table import ParquetTable
from persyn_kedro.domain.prompts.sources import read_rows
from persyn_kedro.domain.stores.parts import PartStore
from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.teachers.importing import import_responses
from persyn_kedro.foundations.child_process import run_in_child
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.identities import source_identity
from persyn_kedro.foundations.places import check_writable, place
from persyn_kedro.foundations.remote_copies import copy_here
from persyn_kedro.foundations.step_parameters import PromptSource
from persyn_kedro.foundations.table_rows import TextColumn
from persyn_kedro.pruning import removable, remove
from tests.s3_server import BUCKET

SCHEMA = pa.schema([("response_key", pa.string()), ("text", pa.string()), ("error", pa.string())])
TABLE = pa.table({"a": list(range(5)), "b": ["x"] * 5})


@pytest.fixture
def url(s3_server: dict[str, str], request: pytest.FixtureRequest) -> str:
    return f"s3://{BUCKET}/{re.sub(r'[^a-z]', '_', request.node.name)}"


def row(key: str, text: str | None, error: str | None = None) -> dict[str, Any]:
    return {"response_key": key, "text": text, "error": error}


def versioned(kind: Any, where: str | Path, version: str | None = None) -> Any:
    return kind(filepath=str(where), version=Version(None, version))


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


def test_a_model_is_copied_once_and_again_where_another_machine_has_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "model"
    (model / "tokens").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "tokens" / "a.txt").write_text("a")
    versioned(ModelDirectory, f"{url}/m", "1").save(model)
    assert not model.exists()
    copy = versioned(ModelDirectory, f"{url}/m").load()
    files = sorted(str(p.relative_to(copy)) for p in copy.rglob("*") if p.is_file())
    assert files == ["config.json", "tokens/a.txt"]
    assert versioned(ModelDirectory, f"{url}/m").load() == copy
    shutil.rmtree(tmp_path / "cache")
    assert (copy_here(copy) / "config.json").is_file()


def test_a_copy_whose_url_is_longer_than_a_file_name_is_found_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / "cache"))
    where = f"{url}/{'é' * 70}/remote-v1/{'copy/' * 20}m"  # quoted, well over 255 bytes
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    versioned(ModelDirectory, where, "1").save(tmp_path / "model")
    copy = versioned(ModelDirectory, where).load()
    assert (copy / "config.json").is_file()
    shutil.rmtree(tmp_path / "cache")
    assert copy_here(copy) == copy and (copy / "config.json").is_file()
    shutil.rmtree(tmp_path / "cache")
    (place(where) / "1" / "m" / "config.json").unlink()
    with pytest.raises(PersynError, match="é/remote-v1/.*does not exist, or is empty"):
        copy_here(copy)


def test_a_workspace_and_file_urls_are_on_a_local_disk(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / "cache"))
    assert Workspace(filepath=f"{url}/w").load().is_relative_to(tmp_path / "cache")
    assert place(f"file://{tmp_path}/x") == tmp_path / "x"
    StoreHandle(filepath=f"file://{tmp_path}/s", kind="trials").load().note_import({"rows": 1})
    assert list((tmp_path / "s").iterdir())


UNREACHABLE = {
    "no bucket": ("s3://nobody/x", {}, "specified bucket does not exist"),
    "no server": ("s3://b/x", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "127.0.0.1:9"),
    "no keys": ("s3://b/x", {"AWS_ACCESS_KEY_ID": ""}, "credentials"),
}


@pytest.mark.parametrize("case", UNREACHABLE)
def test_what_cannot_be_reached_is_said_in_one_sentence(
    case: str, s3_server: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    where, variables, said = UNREACHABLE[case]
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(PersynError, match=f"{where} cannot be used: .*{said}") as caught:
        check_writable(place(where))
    assert "\n" not in str(caught.value)
    if case == "no server":  # nor is it taken for "there is no version", or a part for damaged
        with pytest.raises(DatasetError, match="cannot be used") as wrapped:
            versioned(JsonDocument, f"{where}/d.json").exists()
        assert isinstance(wrapped.value.__cause__, PersynError)
        with pytest.raises(PersynError, match="cannot be used"):
            PartStore(place(where), SCHEMA).read("shelf")
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def read_rows_of(texts: TextColumn) -> Iterator[str]:
    yield from texts


@pytest.fixture
def anew() -> Iterator[None]:
    """What a test did to the store's client is forgotten."""
    yield
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize("lost", ["server", "keys", "object"])
def test_a_table_that_is_lost_while_it_is_read_is_one_sentence(
    lost: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data set was loaded: what fails are reads by a node, or by a model's process."""
    versioned(ParquetTable, f"{url}/t.parquet", "1").save(TABLE)
    table = versioned(ParquetTable, f"{url}/t.parquet").load()
    assert table.to_table().equals(TABLE)
    if lost == "object":
        (place(url) / "t.parquet" / "1" / "t.parquet").unlink()
    else:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        if lost == "keys":
            monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        table.filesystem.handler.fs.connect(refresh=True)
    told = f"^{url}/t.parquet/1/t.parquet cannot be used: "
    for read in (table.to_table, lambda: list(table.to_batches()), lambda: table.head(1)):
        with pytest.raises(PersynError, match=told):
            read()
    with pytest.raises(PersynError, match=told):
        list(run_in_child(read_rows_of, TextColumn(table, "b"), label="reading"))


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PersynError, match="nothing:// needs a package that is not here"):
        place("nothing://x/y")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(PersynError, match=r"s3:// needs .* pip install -e '.\[s3\]'"):
        place("s3://b/x")


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
