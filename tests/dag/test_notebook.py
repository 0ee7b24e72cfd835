"""The notebook runs on the smoke run's data."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import Run


def test_the_notebook_runs_and_draws_three_plots(
    smoke_project: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSYN_ENV", "smoke")
    path = smoke_project.directory / "notebooks" / "look_at_a_run.ipynb"
    book = nbformat.read(path, as_version=4)
    NotebookClient(book, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
