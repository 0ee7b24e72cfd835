"""What notebooks and documents import from the package is there.

Neither mypy nor ruff reads these names, and the notebooks' own tests take minutes.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[3]

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON = re.compile(r"^ *```python.*?\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def _imported(source: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("persyn_kedro"):
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((a.name, "") for a in node.names if a.name.startswith("persyn_kedro"))


def _missing(source: str) -> list[str]:
    """The imports of ``source`` that fail, as ``module.name``."""
    return [f"{module}.{name}" for module, name in _imported(source) if not _exists(module, name)]


def _exists(module: str, name: str) -> bool:
    try:
        found = importlib.import_module(module)
        return not name or hasattr(found, name) or bool(importlib.import_module(f"{module}.{name}"))
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_imports_what_is_there(path: Path) -> None:
    cells = [
        cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"
    ]
    source = "\n".join(
        line for cell in cells for line in cell.splitlines() if not line.startswith(("%", "!"))
    )
    assert list(_imported(source))
    assert _missing(source) == []


def test_pages_import_what_is_there() -> None:
    blocks = [block for page in PAGES for block in PYTHON.findall(page.read_text())]
    assert any(list(_imported(block)) for block in blocks)
    assert [name for block in blocks for name in _missing(block)] == []


def test_a_name_that_is_not_there_is_found() -> None:
    assert _missing("from persyn_kedro.domain.rewards import no_such_name") == [
        "persyn_kedro.domain.rewards.no_such_name"
    ]
