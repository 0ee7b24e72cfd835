"""``kedro package``: a wheel and its configuration run where there is no project."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, make_project

TINY = """
models:
  a: {random: chat}
  b: {random: chat, random_seed: 2}
teachers:
  a: {model: a, sampling: {max_new_tokens: 4}}
  b: {model: b, sampling: {max_new_tokens: 4}}
student: {model: b}
label: {allow_truncated: true}
train_router: {kind: knn, backbone: b}
"""
ENDPOINT = "{endpoint: {url: 'http://localhost:1/v1', model: m, api_key_env: NO_KEY}}"
TELEMETRY = Path(".telemetry")  # Kedro ends its own without a line break


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``dist`` directory of a project that has a key and logs in its own way."""
    project = tmp_path_factory.mktemp("project")
    run = make_project(project)
    (project / "README.md").touch()
    shutil.copy(ROOT / "setup.py", project)
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
    shared = ("conf/base/catalog.yml", "conf/logging.yml", "notebooks/tour.ipynb")
    assert held == files | {f"persyn_kedro/shared/{name}" for name in shared}
    with zipfile.ZipFile(wheel) as opened:
        for name in shared:
            assert opened.read(f"persyn_kedro/shared/{name}") == (ROOT / name).read_bytes()
    assert {"persyn_kedro/domain/reporting/page.html.j2", "persyn_kedro/py.typed"} <= held


def test_the_configuration_is_packed_without_keys(packed: Path) -> None:
    with tarfile.open(packed / "conf-persyn_kedro.tar.gz") as archive:
        names = set(archive.getnames())
    assert {"conf/base/catalog.yml", "conf/smoke/parameters.yml", "conf/logging.yml"} <= names
    assert not [name for name in names if "credentials" in name]


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
    assert other.stderr.startswith("Error: No sft_dataset yet: run `kedro run`.\nMore: ")


@pytest.fixture
def commands(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Run ``persyn`` or ``kedro`` of the wheel in a directory; return what it prints.

    The cache is empty, whatever models other tests have fetched.
    """
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / "cache"))
    for name in ("KEDRO_LOGGING_CONFIG", "KEDRO_ENV", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("COLUMNS", "200")
    kedro = str(Path(sys.executable).with_name("kedro"))
    programs = {"persyn": [sys.executable, str(installed / "bin" / "persyn")], "kedro": [kedro]}

    def run(directory: Path, program: str, *args: str, code: int = 0) -> str:
        done = subprocess.run(
            [*programs[program], *args], cwd=directory, capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_a_project_of_ones_own_needs_no_clone(commands: Callable[..., str], tmp_path: Path) -> None:
    said = commands(tmp_path, "persyn", "run", code=1)
    assert said.startswith("Error: No project here: `persyn new my-run` makes one, or ")
    assert "No project here" in commands(tmp_path, "persyn", "doctor")
    commands(tmp_path, "persyn", "new", "my-run")
    said = commands(tmp_path, "persyn", "new", "my-run", code=1)
    assert said.startswith("Error: my-run exists already: choose another name, or remove it.\n")

    project = tmp_path / "my-run"
    assert sorted(p.name for p in (project / "conf/base").iterdir()) == [
        "globals.yml",
        "parameters.yml",
    ]
    said = commands(project, "persyn", "doctor")
    assert "To fetch: model 'qwen-0_5b'" in said and "have all that they need" in said
    (project / "conf/local/parameters.yml").write_text(TINY)
    said = commands(project, "persyn", "run", "--pipelines=prepare,label")
    assert "Running label.score_quality" in said
    (rewards,) = project.glob("data/04_feature/rewards.parquet/*/rewards.parquet")
    assert set(pd.read_parquet(rewards)["teacher"]) == {"a", "b"}
    said = commands(project, "kedro", "run", "--pipelines=prepare,label")
    assert "Running" not in said  # all is up to date
    assert "label" in commands(project, "kedro", "registry", "list")

    changed = TINY.replace("{random: chat}", ENDPOINT) + "tracking: {to: [mlflow]}\n"
    (project / "conf/local/parameters.yml").write_text(changed)
    said = commands(project, "persyn", "doctor", code=1)
    assert said.count("NO_KEY") == 1 and said.count("Missing: ") == 2
    assert "Missing: tracking.mlflow.uri is not set" in said


def test_kedros_starter_makes_the_same_project(
    commands: Callable[..., str], tmp_path: Path
) -> None:
    commands(tmp_path, "persyn", "new", "mine")
    (tmp_path / "other").mkdir()
    commands(
        tmp_path / "other", "kedro", "new", "--starter=persyn", "--name=mine", "--telemetry=no"
    )
    made, other = tmp_path / "mine", tmp_path / "other" / "mine"
    names = {p.relative_to(made) for p in made.rglob("*") if p.is_file()}
    assert names == {p.relative_to(other) for p in other.rglob("*") if p.is_file()}
    assert Path("notebooks/tour.ipynb") in names
    assert all((made / n).read_bytes() == (other / n).read_bytes() for n in names - {TELEMETRY})
