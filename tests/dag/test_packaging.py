"""``kedro package``: a wheel and its configuration run where there is no project."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, make_project


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``dist`` directory of a project that has a key and logs in its own way."""
    project = tmp_path_factory.mktemp("project")
    run = make_project(project)
    (project / "README.md").touch()
    (project / "conf/local/credentials.yml").write_text("endpoints: {KEY: secret}\n")
    run("package")
    return project / "dist"


@pytest.fixture(scope="module")
def installed(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel in a directory of its own; what it needs is that of the tests."""
    directory = tmp_path_factory.mktemp("installed")
    (wheel,) = packed.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--no-index", "--target", str(directory), str(wheel)], check=True)
    return directory


def test_the_wheel_holds_every_file_of_the_package(packed: Path) -> None:
    source = ROOT / "src"
    files = {p for p in (source / "persyn_kedro").rglob("*") if p.is_file()}
    files = {str(p.relative_to(source)) for p in files if "__pycache__" not in p.parts}
    (wheel,) = packed.glob("*.whl")
    held = {n for n in zipfile.ZipFile(wheel).namelist() if n.startswith("persyn_kedro/")}
    assert held == files
    assert {"persyn_kedro/domain/reporting/page.html.j2", "persyn_kedro/logging.yml"} <= held


def test_the_configuration_is_packed_without_keys(packed: Path) -> None:
    with tarfile.open(packed / "conf-persyn_kedro.tar.gz") as archive:
        names = set(archive.getnames())
    assert {"conf/base/catalog.yml", "conf/smoke/parameters.yml", "conf/logging.yml"} <= names
    assert not [name for name in names if "credentials" in name]


def test_the_wheel_logs_as_the_project_does() -> None:
    own = ROOT / "src/persyn_kedro/logging.yml"
    assert own.read_text() == (ROOT / "conf/logging.yml").read_text()


def test_the_wheel_runs_in_an_empty_directory(
    packed: Path, installed: Path, tmp_path: Path
) -> None:
    ours = ("KEDRO_LOGGING_CONFIG", "KEDRO_DISABLE_TELEMETRY", "KEDRO_ENV")
    environment = {k: v for k, v in os.environ.items() if k not in ours}
    environment |= {"PYTHONPATH": str(installed), "COLUMNS": "200"}
    conf = f"--conf-source={packed / 'conf-persyn_kedro.tar.gz'}"

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "persyn_kedro", *args]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    done = run(conf, "--env=smoke", "--pipelines=prepare")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Running prepare.split_prompts" in done.stdout
    assert "usage data" not in done.stdout and "Loading data" not in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    (prompts,) = tmp_path.glob("data/smoke/02_intermediate/prompts.parquet/*/prompts.parquet")
    assert set(pd.read_parquet(prompts)["split"]) == {"calibration", "train", "test"}

    other = run("trace", "0123", conf, "--env=smoke")
    assert other.returncode == 1
    assert other.stderr == "Error: No sft_dataset yet: run `kedro run`.\n"
