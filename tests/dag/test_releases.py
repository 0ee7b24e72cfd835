"""What earlier releases stored is read: their tables, and above all their answers."""

import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from persyn_kedro.domain.stores import QualityStore, ResponseStore, StatisticsStore
from persyn_kedro.domain.stores.parts import PartStore
from tests.conftest import ROOT, Run, make_project
from tests.support.catalog import load

RELEASES = sorted((ROOT / "tests" / "releases").glob("*.tar.gz"))


@pytest.fixture(scope="module", params=RELEASES, ids=lambda path: path.name.removesuffix(".tar.gz"))
def released(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A project of today with the data of that release."""
    directory = tmp_path_factory.mktemp("released")
    run = make_project(directory)
    with tarfile.open(request.param) as archive:
        archive.extractall(directory, filter="data")
    return run


def test_there_is_a_release() -> None:
    assert RELEASES


def test_its_tables_are_read(released: Run) -> None:
    tables = sorted(Path(released.directory, "data").glob("smoke/0*/*.parquet"))
    assert len(tables) > 15
    for path in tables:
        rows = load(released.directory, path.stem)
        assert rows or path.stem in EMPTY, path.stem


EMPTY = {"repeated_prompts", "dropped_prompts", "quality_terms", "focus"}


@pytest.mark.parametrize(
    ("name", "store"),
    [("responses", ResponseStore), ("statistics", StatisticsStore), ("quality", QualityStore)],
)
def test_its_stores_are_read(released: Run, name: str, store: type[PartStore]) -> None:
    root = Path(released.directory, "data", "smoke", "stores", name)
    shelves = [path for path in root.iterdir() if path.is_dir()]
    assert shelves
    for shelf in shelves:
        stored = sum(pq.read_metadata(part).num_rows for part in shelf.glob("*.parquet"))
        assert store(root).read(shelf.name).num_rows == stored > 0


def test_its_answers_are_not_paid_for_again(released: Run) -> None:
    released("fetch-models", "--env=smoke")  # a plan counts no answers of models that are not here
    released("run", "--env=smoke", "--pipelines=plan")
    plan = load(released.directory, "plan")
    teachers = [row for row in plan if row["step"] in ("label", "generate")]
    assert sum(row["responses"] for row in teachers) == 51
    assert {row["calls"] for row in teachers} == {0}
