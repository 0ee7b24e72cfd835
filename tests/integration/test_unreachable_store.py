"""An object store that does not answer: before a run, and while its tables are read."""

import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from kedro.io.core import DatasetError

from persyn_kedro.datasets.documents import JsonDocument
from persyn_kedro.datasets.parquet_table import ParquetTable
from persyn_kedro.domain.stores.parts import PartStore
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.storage.paths import check_writable, place
from persyn_kedro.foundations.tables.rows import TextColumn
from tests.support.catalog import versioned

SCHEMA = pa.schema([("response_key", pa.string()), ("text", pa.string()), ("error", pa.string())])
TABLE = pa.table({"a": list(range(5)), "b": ["x"] * 5})
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
    with pytest.raises(PersynError, match="nothing:// needs a package that is not installed"):
        place("nothing://x/y")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(PersynError, match=r"s3:// needs .* `pip install 'persyn-kedro\[s3\]'`"):
        place("s3://b/x")
