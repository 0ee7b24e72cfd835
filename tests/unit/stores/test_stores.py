"""Part stores: what was written whole is read, once for each key, and the last good row wins."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, strategies as st

from persyn_kedro.domain.stores.tables import QualityStore, ResponseStore, StatisticsStore
from persyn_kedro.foundations.errors import PersynError


def response(key: str, text: str, error: str | None = None) -> dict:
    return {"response_key": key, "response": text, "error": error, "completion_tokens": 1}


def contents(store: ResponseStore, shelf: str = "s") -> dict[str, str]:
    rows = store.read(shelf, ["response_key", "response"]).to_pylist()
    assert len({row["response_key"] for row in rows}) == len(rows)
    return {row["response_key"]: row["response"] for row in rows}


def test_a_missing_shelf_is_empty(tmp_path):
    table = ResponseStore(tmp_path).read("none", ["response", "response_key"])
    assert table.num_rows == 0 and table.column_names == ["response", "response_key"]


def test_the_last_good_row_of_a_key_wins(tmp_path):
    store = ResponseStore(tmp_path)
    store.append("s", [response("a", "", "failed"), response("b", "b1"), response("c", "", "1")])
    store.append("s", [response("a", "a2"), response("b", "", "failed"), response("c", "", "2")])
    store.append("s", [response("b", "b3"), response("c", "", "3")])
    store.append("s", [])
    assert len(list((tmp_path / "s").iterdir())) == 3
    assert contents(store) == {"a": "a2", "b": "b3", "c": ""}
    errors = store.read("s", ["response_key", "error"]).to_pylist()
    assert {row["response_key"]: row["error"] for row in errors}["c"] == "3"
    assert contents(store, "other") == {}


ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=6)


@given(parts=st.lists(ROWS, max_size=4))
def test_reading_agrees_with_a_dictionary(tmp_path_factory, parts):
    store = ResponseStore(tmp_path_factory.mktemp("store"))
    good: dict[str, str] = {}
    bad: dict[str, str] = {}
    for part_number, part in enumerate(parts):
        rows = []
        for row_number, (key, is_good) in enumerate(part):
            text = f"{part_number}.{row_number}"
            (good if is_good else bad)[key] = text
            rows.append(response(key, text, None if is_good else "failed"))
        store.append("s", rows)
    assert contents(store) == {**bad, **good}


def test_unfinished_files_are_ignored_and_damaged_parts_set_aside(tmp_path, caplog):
    store = ResponseStore(tmp_path)
    store.append("s", [response("a", "a1")])
    (part,) = (tmp_path / "s").iterdir()
    (tmp_path / "s" / f".{part.name}.0.tmp").write_bytes(part.read_bytes()[:50])
    assert contents(store) == {"a": "a1"}
    store.append("s", [response("b", "b1")])
    part.write_bytes(part.read_bytes()[:50])
    assert contents(store) == {"b": "b1"}
    assert part.name in caplog.text and "damaged" in caplog.text
    assert part.with_suffix(".corrupt").is_file()
    store.append("s", [response("a", "a2")])  # paid for again
    assert contents(store) == {"a": "a2", "b": "b1"}


def test_a_part_of_another_version_is_refused_and_kept(tmp_path):
    (tmp_path / "s").mkdir()
    part = tmp_path / "s" / "part-1.parquet"
    pq.write_table(pa.table({"response_key": ["a"]}), part)
    with pytest.raises(PersynError, match="part-1.parquet cannot be read"):
        ResponseStore(tmp_path).read("s")
    assert part.is_file()


def test_a_part_from_before_a_column_was_added_has_nulls_there(tmp_path):
    store = ResponseStore(tmp_path)
    store.append("s", [{**response("new", "b"), "cached_prompt_tokens": 7}])
    (part,) = (tmp_path / "s").iterdir()
    old = store.schema.remove(store.schema.get_field_index("cached_prompt_tokens"))
    rows = pa.Table.from_pylist([response("old", "a")], old)
    pq.write_table(rows, part.with_name("part-0.parquet"))
    for columns in (None, ["response_key", "cached_prompt_tokens"]):
        found = store.read("s", columns).to_pylist()
        assert {r["response_key"]: r["cached_prompt_tokens"] for r in found} == {
            "old": None, "new": 7,
        }  # fmt: skip
    assert contents(store) == {"old": "a", "new": "b"}


def test_a_save_that_dies_leaves_nothing(tmp_path, monkeypatch):
    def full_disk(table, file):
        file.write(b"PAR1")
        raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", full_disk)
    with pytest.raises(OSError, match="disk full"):
        ResponseStore(tmp_path).append("s", [response("a", "a1")])
    assert list((tmp_path / "s").iterdir()) == []


def test_statistics_keep_half_precision_lists_and_nulls(tmp_path):
    store = StatisticsStore(tmp_path)
    logp = [-0.5, -2.25]
    store.append("s", [{"response_key": "a", "tokens": 2, "sum_logp": -2.75, "logp": logp}])
    store.append("s", [{"response_key": "b", "tokens": 1, "logp": [np.float16(-1.5)]}])
    store.append("s", [{"response_key": "c", "tokens": 0, "sum_logp": None, "logp": None}])
    a, b, c = store.read("s").to_pylist()
    assert [float(value) for value in a["logp"]] == logp and a["sum_logp"] == -2.75
    assert float(b["logp"][0]) == -1.5
    assert c["logp"] is None and c["sum_logp"] is None


def test_quality_is_kept_for_each_reference_and_unknown_stays_null(tmp_path):
    store = QualityStore(tmp_path)
    rows = [("a", "r1", 1.0), ("a", "r2", 0.0), ("b", "r1", None), ("a", "r1", 0.5)]
    names = ("response_key", "reference_id", "quality")
    store.append("s", [dict(zip(names, row, strict=True)) for row in rows])
    read = {
        (r["response_key"], r["reference_id"]): r["quality"] for r in store.read("s").to_pylist()
    }
    assert read == {("a", "r1"): 0.5, ("a", "r2"): 0.0, ("b", "r1"): None}
    assert not any(quality is not None and math.isnan(quality) for quality in read.values())


def test_a_shelf_is_described_once(tmp_path):
    store = ResponseStore(tmp_path)
    store.describe("s", {"model": "one", "system": "Sei kurz, bitte: ä"})
    store.describe("s", {"model": "two"})
    text = (tmp_path / "s" / "identity.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"model": "one", "system": "Sei kurz, bitte: ä"}
    assert contents(store) == {}
