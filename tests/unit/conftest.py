"""What several unit tests share."""

import pytest

from persyn_kedro.domain.prompts import preparation
from persyn_kedro.domain.routers import assignment
from persyn_kedro.domain.teachers import answering
from persyn_kedro.domain.training_set import merge
from persyn_kedro.foundations import table_rows


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read and write tables in blocks of 64 rows, scattered ones 16 at a time."""
    monkeypatch.setattr(table_rows, "FEW", 16)
    for module in (table_rows, preparation, assignment, merge, answering):
        monkeypatch.setattr(module, "BLOCK", 64)
