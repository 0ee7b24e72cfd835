"""The tour runs on the smoke run's data, and is kept without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT, Run
from tests.support.catalog import load


def test_the_tour_runs_draws_its_plots_and_ends_with_an_explanation(
    smoke_project: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSYN_ENV", "smoke")
    path = smoke_project.directory / "notebooks" / "tour.ipynb"
    book = nbformat.read(path, as_version=4)
    NotebookClient(book, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    text = "".join(output.get("text", "") for output in outputs)
    prompts = load(smoke_project.directory, "prompts")
    held_out = next(row["prompt_id"] for row in prompts if row["part"] == "holdout")
    assert f"Prompt {held_out}: a calibration prompt held out" in text
    assert "Nearest prompts that the router was fitted on" in text


def test_a_notebook_without_a_project_labels_routes_and_generates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSYN_TINY", "1")
    book = nbformat.read(ROOT / "notebooks" / "without_kedro.ipynb", as_version=4)
    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    pages = [c["outputs"][-1]["data"]["text/html"] for c in book.cells if c.get("outputs")]
    assert [page.count("<tr>") for page in pages] == [12, 4, 4, 2]  # the header's has a style


@pytest.mark.parametrize("name", ["tour", "without_kedro"])
def test_notebooks_are_kept_without_outputs(name: str) -> None:
    book = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    assert not any(c.get("outputs") or c.get("execution_count") for c in book.cells)
