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
def on_a_full_cache(smoke_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on the cache that the smoke run found empty and has filled."""
    run = make_project(tmp_path_factory.mktemp("full"))
    assert any(smoke_run.cache.iterdir())  # type: ignore[attr-defined]
    there = {"PYTHONHASHSEED": "1", "TZ": "Pacific/Auckland", "LC_ALL": "C"}
    run("run", "--env=smoke", STEPS, PERSYN_CACHE=str(smoke_run.cache), **there)  # type: ignore[attr-defined]
    return run


def tables(run: Run) -> dict[str, Any]:
    found = newest_data(run.directory)  # type: ignore[attr-defined]
    assert found.keys() >= MADE
    return {name: found[name] for name in found if name in MADE}


def test_a_run_on_an_empty_cache_makes_what_one_on_a_full_cache_does(
    smoke_run: Run, on_a_full_cache: Run
) -> None:
    empty, full = tables(smoke_run), tables(on_a_full_cache)
    assert list(differences(empty, full)) == []
    assert all(row["calls"] > 0 for row in full["estimate"]["rows"])


def test_so_it_does_where_the_stores_know_the_answers(
    smoke_run: Run, on_a_full_cache: Run, tmp_path: Path
) -> None:
    again = ("run", "--env=smoke", "--pipelines=label", "--redo")
    there = {"PYTHONHASHSEED": "2", "TZ": "America/Los_Angeles", "LC_ALL": "C.UTF-8"}
    on_a_full_cache(*again, PERSYN_CACHE=str(tmp_path / "empty"), **there)
    empty = tables(on_a_full_cache)
    on_a_full_cache(*again, PERSYN_CACHE=str(smoke_run.cache))  # type: ignore[attr-defined]
    full = tables(on_a_full_cache)
    assert list(differences(empty, full)) == []
    label = [r for r in load(on_a_full_cache.directory, "estimate") if r["step"] == "label"]  # type: ignore[attr-defined]
    assert label and all(row["calls"] == 0 for row in label)
    assert all("answers in the store" in row["basis"] for row in label)
