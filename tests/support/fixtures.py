"""Fixtures that unit and integration tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from persyn_kedro.domain.prompts import prepare as preparation
from persyn_kedro.domain.routers import assignment
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers import result
from persyn_kedro.domain.training_set import merge
from persyn_kedro.foundations.models.hub import ask_anew
from persyn_kedro.foundations.tables import rows as table_rows
from tests.support.fake_engine import FakeEngine, answer_by


@pytest.fixture(autouse=True)
def one_hub_a_test() -> Iterator[None]:
    """What a test's hub said is not remembered for the next test, whichever that is."""
    yield
    ask_anew()


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read and write tables in blocks of 64 rows, scattered ones 16 at a time."""
    monkeypatch.setattr(table_rows, "FEW", 16)
    for module in (table_rows, preparation, assignment, merge, result):
        monkeypatch.setattr(module, "BLOCK", 64)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Stands in for Transformers."""
    engine = FakeEngine()
    answer_by(monkeypatch, engine.generate)
    return engine


@pytest.fixture
def store(tmp_path: Path) -> ResponseStore:
    """An empty store."""
    return ResponseStore(tmp_path)
