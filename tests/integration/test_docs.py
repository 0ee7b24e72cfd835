"""The site builds without a broken link and holds every module; the drawing is the code's."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persyn_kedro.foundations.settings.read import GROUPS
from persyn_kedro.pipeline_registry import STEPS
from tests.conftest import ROOT
from tests.support.docs import program


def make_docs(project: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Run ``make docs`` with the programs of these tests, whatever ``.venv`` holds."""
    programs = Path(sys.executable).parent
    command = ["make", "-o", ".venv/.installed", "docs", f"BIN={programs}", f"SITE={site}"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site that ``make docs`` builds."""
    directory = tmp_path_factory.mktemp("site")
    done = make_docs(ROOT, directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def test_every_page_is_there(site: Path) -> None:
    pages = {str(path.parent.relative_to(site)) for path in site.rglob("index.html")}
    written = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    assert {str(path.with_suffix("")) for path in written} <= pages
    assert {".", "contributing", "changelog", "code_of_conduct", "reference/foundations"} <= pages
    assert "persyn_kedro.api.label.label" in (site / "reference/api/index.html").read_text()
    index = (site / "index.html").read_text()
    assert "routes first and" in index and 'src="report.png"' in index
    assert 'href="site.css"' in index and "pre-wrap" in (site / "site.css").read_text()
    for path in written:
        assert path.stem in index, f"{path} is not in the navigation"


def test_a_broken_link_fails(tmp_path: Path) -> None:
    for path in ("Makefile", "mkdocs.yml", "LICENSE", "NOTICE", "CITATION.cff", *ROOT.glob("*.md")):
        shutil.copy(ROOT / path, tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    (tmp_path / "src/persyn_kedro").mkdir(parents=True)
    with (tmp_path / "CONTRIBUTING.md").open("a") as page:
        page.write("\n[gone](docs/gone.md)\n")
    done = make_docs(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert "'docs/gone.md', but the target is not found" in done.stdout + done.stderr


def test_every_public_module_and_function_of_the_domain_is_in_the_api(site: Path) -> None:
    text = "".join(path.read_text() for path in (site / "reference").rglob("index.html"))
    missing = []
    for path in (ROOT / "src/persyn_kedro/domain").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        if path.name == "__init__.py":
            continue
        for item in ast.parse(path.read_text()).body:
            if isinstance(item, ast.FunctionDef | ast.ClassDef) and item.name[0] != "_":
                missing += [f"{name}.{item.name}"]
        missing += [name]
    missing = [name for name in missing if f'id="{name}"' not in text]
    assert not missing


def test_docstrings_become_sections_and_leave_no_marks(site: Path) -> None:
    text = (site / "reference/domain/rewards/index.html").read_text()
    assert "<p>Return r = (1 - alpha) r_q + alpha r_l of every prompt" in text
    assert "Raises:" in text and 'href="../../foundations/#persyn_kedro.foundations.errors' in text
    for path in (site / "reference").rglob("index.html"):
        assert "``" not in path.read_text(), path


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text()
        for mark in ('src="http', 'src="//', 'rel="preconnect"', "fonts.g"):
            assert mark not in text, path


def test_the_drawing_is_that_of_the_imports() -> None:
    drawing = program("arrows")
    committed = (ROOT / "docs/arrows.svg").read_text()
    assert committed == drawing.draw(drawing.read_arrows()), "run `python docs/arrows.py`"


def test_the_results_are_what_the_published_tables_give() -> None:
    results = program("results")
    committed = (ROOT / "docs/results.md").read_text()
    assert committed == results.page(committed, ROOT / "docs/data"), "run `python docs/results.py`"
    published = [path for path in (ROOT / "docs/data").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in published) < 5 * 2**20


def test_the_settings_page_is_that_of_the_code() -> None:
    committed = (ROOT / "docs/settings.md").read_text()
    assert committed == program("settings_reference").page(), (
        "run `python docs/settings_reference.py`"
    )
    rows = [line.split(" | ") for line in committed.splitlines() if line.startswith("| `")]
    assert len(rows) > 100 and all(row[3].strip() for row in rows), "each key has a meaning"
    groups = [line[3:] for line in committed.splitlines() if line.startswith("## ")]
    assert groups == list(GROUPS)


def test_an_arrow_is_left_out_only_where_a_longer_way_says_it() -> None:
    a_triangle = {("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")}
    assert program("arrows").without_implied(a_triangle) == {("a", "b"), ("b", "c"), ("a", "d")}


def test_every_scheduler_runs_the_steps_in_order() -> None:
    tree = ast.parse((ROOT / "deploy/airflow_dag.py").read_text())
    (steps,) = (
        ast.literal_eval(item.value)
        for item in tree.body
        if isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == "STEPS"
    )
    assert steps == tuple(STEPS)
    loops = f"for step in {' '.join(STEPS)}; do"
    assert (ROOT / "docs/deploy.md").read_text().count(loops) == 2


def trials(**right: list[str]) -> pa.Table:
    rows = [
        {"strategy": name, "seed": seed, "prompt_id": str(p), "quality": float(mark),
         "completion_tokens": 1}
        for name, seeds in right.items()
        for seed, marks in enumerate(seeds)
        for p, mark in enumerate(marks)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def differences(table: str) -> dict[str, float]:
    """Return the values of a table of differences; each lies within its interval."""
    found = {}
    for line in table.splitlines()[2:]:
        match = re.search(r"\| (.+) \| ([-+][\d.]+) \[([-+][\d.]+), ([-+][\d.]+)\]", line)
        assert match and float(match[3]) <= float(match[2]) <= float(match[4]), line
        found[match[1]] = float(match[2])
    return found


def test_the_share_of_a_gain_that_is_kept_is_worked_out_by_hand(tmp_path: Path) -> None:
    kept, about = program("results_tables").kept, {"compare": {"confidence": 0.95}}
    here = trials(persyn=["1111", "1101"], random=["1000", "0100"])  # 7/8, 2/8
    (tmp_path / "half").mkdir()
    pq.write_table(trials(persyn=["1110", "1100"]), tmp_path / "half/trials.parquet")  # 5/8
    assert differences(kept(here, tmp_path / "half", about)) == {
        "persyn − random": 62.5,
        "half − random": 37.5,
        "half − persyn": -25.0,
        "half − 0.8 persyn − 0.2 random": -12.5,
    }
    pq.write_table(trials(persyn=["111", "110"]), tmp_path / "half/trials.parquet")
    with pytest.raises(SystemExit, match=r"persyn has other seeds or test prompts in half\."):
        kept(here, tmp_path / "half", about)


def test_the_gain_over_another_comparison_is_worked_out_by_hand(tmp_path: Path) -> None:
    """Of the strategies that both have; ``untrained`` is no student."""
    against, about = program("results_tables").against, {"compare": {"confidence": 0.95}}
    shared = {"persyn": ["1110", "1100"], "random": ["1000", "0100"], "untrained": ["0000"]}
    here = trials(**{**shared, "persyn": ["1111", "1101"]}, strong=["1111", "1111"])
    pq.write_table(trials(**shared, rsr=["0000", "0000"]), tmp_path / "trials.parquet")
    found = differences(against(here, tmp_path, about))
    assert found == {"persyn": 25.0, "random": 0.0}
