"""What a step makes hangs on its record: on no cache, environment or order."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, make_project
from tests.support.catalog import load
from tests.support.same_data import differences, newest_data

STEPS = "--pipelines=prepare,label"
MADE = {"source_prompts", "prompts", "calibration_set", "estimate", "calibration_responses",
        "calibration_calls", "token_statistics", "quality", "rewards"}  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of the first project, filled by it."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def on_an_empty_cache(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_project(tmp_path_factory.mktemp("empty"))
    there = {"PYTHONHASHSEED": "1", "TZ": "Pacific/Auckland", "LC_ALL": "C"}
    run("run", "--env=smoke", STEPS, PERSYN_CACHE=str(cache), **there)
    assert any(cache.iterdir())
    return run


@pytest.fixture(scope="module")
def on_a_full_cache(
    cache: Path, on_an_empty_cache: Run, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    run = make_project(tmp_path_factory.mktemp("full"))
    there = {"PYTHONHASHSEED": "2", "TZ": "America/Los_Angeles", "LC_ALL": "C.UTF-8"}
    run("run", "--env=smoke", STEPS, PERSYN_CACHE=str(cache), **there)
    return run


def tables(run: Run) -> dict[str, Any]:
    found = newest_data(run.directory)  # type: ignore[attr-defined]
    assert found.keys() >= MADE
    return found


def test_a_run_on_an_empty_cache_makes_what_one_on_a_full_cache_does(
    on_an_empty_cache: Run, on_a_full_cache: Run
) -> None:
    empty, full = tables(on_an_empty_cache), tables(on_a_full_cache)
    assert list(differences(empty, full)) == []
    assert all(row["calls"] > 0 for row in full["estimate"]["rows"])


def test_so_it_does_where_the_stores_know_the_answers(
    on_an_empty_cache: Run, on_a_full_cache: Run, cache: Path, tmp_path: Path
) -> None:
    again = ("run", "--env=smoke", "--pipelines=label", "--redo")
    on_an_empty_cache(*again, PERSYN_CACHE=str(tmp_path / "empty"))
    on_a_full_cache(*again, PERSYN_CACHE=str(cache))
    empty, full = tables(on_an_empty_cache), tables(on_a_full_cache)
    assert list(differences(empty, full)) == []
    label = [r for r in load(on_an_empty_cache.directory, "estimate") if r["step"] == "label"]  # type: ignore[attr-defined]
    assert label and all(row["calls"] == 0 for row in label)
    assert all("answers in the store" in row["basis"] for row in label)
