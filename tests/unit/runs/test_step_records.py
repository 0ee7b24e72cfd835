"""Which versions count as made already, by a pipeline's records: numbers -> doubled -> total."""

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.io.core import Version
from kedro.pipeline import Pipeline, node

from persyn_kedro.cli.prune import removable, remove
from persyn_kedro.datasets.documents import JsonDocument
from persyn_kedro.datasets.model_directory import ModelDirectory
from persyn_kedro.datasets.parquet_table import ParquetTable
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.marks import Step, step
from persyn_kedro.foundations.tables.schemas import with_unsettled
from persyn_kedro.runs.belonging import pin_versions_behind
from persyn_kedro.runs.fingerprints import difference
from persyn_kedro.runs.records import StepRecords
from tests.support.settings import SHORTEST


def double(numbers: Any, seed: int) -> pa.Table:
    return with_unsettled(pa.table({"n": [2 * n for n in numbers]}), failures.pop())


def total(doubled: Any) -> int:
    return sum(doubled.to_table()["n"].to_pylist())


PIPELINE = Pipeline(
    [
        node(double, ["numbers", "params:seed"], "doubled", name="double"),
        node(total, "doubled", "total", name="total"),
    ]
)
failures: list[int] = []


def catalog(directory: Path, version: str, **changes: Any) -> DataCatalog:
    at = {"version": Version(None, version)}
    return DataCatalog(
        {
            "numbers": JsonDocument(filepath=str(directory / "numbers.json"), **at),
            "doubled": ParquetTable(filepath=str(directory / "doubled.parquet"), **at),
            "total": JsonDocument(filepath=str(directory / "total.json"), **at),
            **{f"params:{k}": MemoryDataset(v) for k, v in {**SHORTEST, **changes}.items()},
        }
    )


def run(directory: Path, version: str, failed: int = 0, **changes: Any) -> list[str]:
    """Run as the runner does; return what was done."""
    from persyn_kedro.runs.runner import ResumingRunner

    class Hooks:
        hook = type("H", (), {"__getattr__": lambda *_: lambda **__: []})()

    failures[:] = [failed]
    data = catalog(directory, version, **changes)
    ResumingRunner()._run(PIPELINE, data, Hooks(), version)
    return [n.name for n in PIPELINE.nodes if data.get(n.outputs[0]).maker]


def numbers(directory: Path, version: str, *values: int) -> None:
    dataset = catalog(directory, version)["numbers"]
    dataset.maker = {"input_versions": {}}
    dataset.save(list(values))


def test_the_same_content_under_a_new_version_redoes_nothing(tmp_path: Path) -> None:
    numbers(tmp_path, "v1", 1, 2)
    assert run(tmp_path, "v1") == ["double", "total"]
    numbers(tmp_path, "v2", 1, 2)
    assert run(tmp_path, "v2") == []
    numbers(tmp_path, "v3", 2, 1)
    assert run(tmp_path, "v3") == ["double", "total"]


def test_a_step_is_done_again_once_an_algorithm_of_its_mark_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = Step(versions_of=(total,))  # of this module
    monkeypatch.setattr(double, "step", mark, raising=False)
    monkeypatch.setattr(sys.modules[__name__], "VERSION", 1, raising=False)
    numbers(tmp_path, "v1", 1, 2)
    run(tmp_path, "v1")
    assert run(tmp_path, "v2") == []
    monkeypatch.setattr(sys.modules[__name__], "VERSION", 2)
    assert run(tmp_path, "v3") == ["double"]  # what it made is the same


def test_a_redone_step_whose_content_is_the_same_stops_there(tmp_path: Path) -> None:
    numbers(tmp_path, "v1", 1, 2)
    run(tmp_path, "v1")
    assert run(tmp_path, "v2", seed=2) == ["double"]


def test_failed_rows_are_asked_again_and_then_not(tmp_path: Path) -> None:
    numbers(tmp_path, "v1", 1, 2)
    run(tmp_path, "v1", failed=1)
    assert run(tmp_path, "v2", failed=1) == ["double"]
    assert run(tmp_path, "v3", failed=0) == ["double", "total"]
    assert run(tmp_path, "v4") == []


def test_an_older_match_becomes_the_newest_version_without_taking_room(tmp_path: Path) -> None:
    numbers(tmp_path, "v1", 1, 2)
    run(tmp_path, "v1")
    numbers(tmp_path, "v2", 3)
    run(tmp_path, "v2")
    numbers(tmp_path, "v3", 1, 2)
    assert run(tmp_path, "v3") == []
    data = catalog(tmp_path, "v9")
    assert data.load("total") == 6
    files = [tmp_path / "total.json" / v / "total.json" for v in ("v1", "v3")]
    assert files[0].stat().st_ino == files[1].stat().st_ino
    assert pin_versions_behind("total", data) == {"total": "v3", "doubled": "v1", "numbers": "v1"}


def test_outputs_of_two_runs_are_no_match(tmp_path: Path) -> None:
    both = Pipeline([node(lambda n: (n, n), "numbers", ["total", "copy"], name="both")])
    numbers(tmp_path, "v1", 1)

    def records(version: str) -> StepRecords:
        data = catalog(tmp_path, version)
        at = Version(None, version)
        data["copy"] = JsonDocument(filepath=str(tmp_path / "copy.json"), version=at)
        made = StepRecords(data)
        made.mark(both.nodes[0], made.reading(both.nodes[0]), "", version)
        return made

    first, second = records("v1"), records("v2")
    first._catalog.save("total", 1)  # killed before the other output was saved
    second._catalog.save("copy", 1)
    record = second.reading(both.nodes[0])
    assert second.match(both.nodes[0], record) is None
    assert second.why(both.nodes[0], record) == "its outputs are from different runs"
    first._catalog.save("copy", 1)
    assert second.match(both.nodes[0], record) == "v1"


def test_prune_keeps_the_newest_and_what_it_was_made_from(tmp_path: Path) -> None:
    for version, number in (("v1", 1), ("v2", 2), ("v3", 3)):
        numbers(tmp_path, version, number)
        run(tmp_path, version)
    numbers(tmp_path, "v4", 4)  # nothing is made from it yet
    (tmp_path / "numbers.json" / ".partial-v0").mkdir()
    data = catalog(tmp_path, "v9")
    items = removable(data, keep=1)
    assert {(i.dataset, i.version) for i in items} == {
        *((name, v) for name in ("numbers", "doubled", "total") for v in ("v1", "v2")),
        ("numbers", ".partial-v0"),
    }
    remove(items)
    assert removable(data, keep=1) == []
    assert sorted(p.name for p in (tmp_path / "numbers.json").iterdir()) == ["v3", "v4"]


def test_prune_keeps_the_manifests_of_runs_whose_versions_stay(tmp_path: Path) -> None:
    numbers(tmp_path, "v1", 1)
    run(tmp_path, "v1")
    path = str(tmp_path / "manifest.json")
    for version in ("v1", "v2", "v3"):  # the later runs skipped all
        JsonDocument(filepath=path, version=Version(None, version)).save({})
    data = catalog(tmp_path, "v9")
    data["run_manifest"] = JsonDocument(filepath=path, version=Version(None, "v9"))
    assert {(i.dataset, i.version) for i in removable(data, keep=1)} == {("run_manifest", "v2")}


def test_a_version_of_another_runner_is_not_traced(tmp_path: Path) -> None:
    numbers(tmp_path, "v1", 1)
    run(tmp_path, "v1")
    data = catalog(tmp_path, "v2")
    data.save("total", 3)
    with pytest.raises(PersynError, match="The origin of total in version v2 is unknown"):
        pin_versions_behind("total", data)


def test_an_import_has_the_steps_that_read_the_store_done_again(tmp_path: Path) -> None:
    from persyn_kedro.datasets.handles import StoreHandle

    def asked(numbers: Any, response_store: Any) -> int:
        return len(numbers)

    pipeline = Pipeline([node(asked, ["numbers", "response_store"], "total", name="ask")])
    numbers(tmp_path, "v1", 1)
    data = catalog(tmp_path, "v1")
    data["response_store"] = StoreHandle(filepath=str(tmp_path / "store"), kind="responses")
    before = StepRecords(data).reading(pipeline.nodes[0])
    assert set(before["inputs"]) == {"numbers"}
    data.load("response_store").note_import({"t": 3})
    after = StepRecords(data).reading(pipeline.nodes[0])
    assert difference(before, after) == "response_store changed"


def test_other_prompts_than_those_looked_up_by_id_redo_nothing(tmp_path: Path) -> None:
    @step(texts=("prompts",))
    def lengths(ids: Any, prompts: Any) -> int:
        return 0

    look_up = node(lengths, ["numbers", "total"], "length", name="look_up")
    numbers(tmp_path, "v1", 1)
    data = catalog(tmp_path, "v1")
    data.save("total", 1)
    before = StepRecords(data).reading(look_up)
    assert set(before["inputs"]) == {"numbers"}
    catalog(tmp_path, "v2").save("total", 2)
    assert StepRecords(catalog(tmp_path, "v3")).reading(look_up) == before
    numbers(tmp_path, "v3", 2)
    assert StepRecords(catalog(tmp_path, "v4")).reading(look_up) != before


def test_a_model_directory_is_given_up_only_once_its_version_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "workspace" / "model"
    made.mkdir(parents=True)
    (made / "weights").write_text("paid for")
    dataset = ModelDirectory(filepath=str(tmp_path / "m"), version=Version(None, "v1"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(Exception, match="No space left"):
            dataset.save(made)
    assert (made / "weights").read_text() == "paid for"
    assert not dataset.versions() and not list((tmp_path / "m").iterdir())
    dataset.save(made)
    assert not made.exists()
    assert (dataset.load() / "weights").read_text() == "paid for"
