"""A run loads each model once, and what it makes is what it makes by loading it every time."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from persyn_kedro.domain.stores.tables import QualityStore, ResponseStore, StatisticsStore
from tests.conftest import Run, make_project
from tests.support.same_data import differences, newest_data

STORES = {"responses": ResponseStore, "statistics": StatisticsStore, "quality": QualityStore}
BEFORE = ["transformers tiny-a", "transformers tiny-b", "transformers tiny-student",
          "scoring with tiny-student"]  # fmt: skip
AFTER = ["transformers tiny-student after training", "scoring with tiny-student after training"]
ROUTER = ["routing"]
SEVERAL_TIMES = "--params=engine.keep_loaded=false,engine.order=settings"


def loads(output: str, words: str = "loading") -> Counter[str]:
    return Counter(re.findall(rf"INFO +(\S.*): {words} *$", output, re.MULTILINE))


@pytest.fixture(scope="module")
def each_time(smoke_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The smoke run, with models that are loaded for each step anew."""
    run = make_project(tmp_path_factory.mktemp("each_time") / "project")
    run.first = run("run", "--env=smoke", SEVERAL_TIMES, PERSYN_CACHE=str(smoke_run.cache))  # type: ignore
    return run


def test_no_model_is_loaded_twice(smoke_run: Run, each_time: Run) -> None:
    """As few as possible: each is needed at least once."""
    output = smoke_run.first.stdout  # type: ignore[attr-defined]
    assert loads(output) == Counter([*BEFORE, *AFTER, *ROUTER])
    again = loads(each_time.first.stdout)  # type: ignore[attr-defined]
    assert again == loads(output) + loads(output, "still loaded")
    assert again.total() > loads(output).total()


def test_what_stayed_is_gone_before_the_student_is_trained_and_after_the_run(
    smoke_run: Run,
) -> None:
    lines = smoke_run.first.stdout.splitlines()  # type: ignore[attr-defined]

    def place(text: str) -> int:
        (found,) = [number for number, line in enumerate(lines) if text in line]
        return found

    ended = [place(f"{name}: process ") for name in BEFORE]
    assert max(ended) < place("Running sft.train_student")
    assert max(place(f"{name}: process ") for name in AFTER) < len(lines)


def test_all_that_is_made_is_equal(smoke_run: Run, each_time: Run) -> None:
    found, wanted = (newest_data(run.directory) for run in (smoke_run, each_time))  # type: ignore
    assert list(differences(found, wanted)) == []


@pytest.mark.parametrize("name", STORES)
def test_the_stores_hold_the_same(smoke_run: Run, each_time: Run, name: str) -> None:
    found, wanted = (stored(run.directory, name) for run in (smoke_run, each_time))  # type: ignore
    assert found and found == wanted


def stored(directory: Path, name: str) -> dict[str, list[dict[str, Any]]]:
    """Return each shelf's rows, in an order of their own: that of the calls is free."""
    root = directory / "data" / "smoke" / "stores" / name
    shelves = [path.name for path in root.iterdir() if path.is_dir()]
    return {shelf: rows(STORES[name](root).read(shelf)) for shelf in shelves}


def rows(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: repr(sorted(row.items())))
