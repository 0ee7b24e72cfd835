"""A copy of this project in a temporary directory, run through the command line as a user would."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def small_run(tokens: int) -> dict[str, Any]:
    """Return the settings of a run of few prompts and short answers, but for its models."""
    return {
        "prepare": {
            "source": {"tasks": [{"name": "chain_sum", "size": 24, "config": {}}]},
            "calibration_fraction": 0.4,
            "test_fraction": 0.2,
            "holdout_fraction": 0.3,
            "withheld_fraction": 0.3,
        },
        "label": {"allow_truncated": True},
        "evaluate": {"sampling": {"max_new_tokens": tokens}},
    }


def copy_project(directory: Path) -> Path:
    """Copy what Kedro needs into ``directory`` and return it."""
    directory.mkdir(parents=True)
    for name in ("conf", "src", "pyproject.toml", ".telemetry"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, directory / name)
    return directory


def write(directory: Path, files: dict[str, str]) -> None:
    """Write the files' texts under ``directory``."""
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


def kedro(
    project: Path,
    *args: str,
    python: tuple[str, ...] = (),
    path: tuple[Path, ...] = (),
    environment: dict[str, str] | None = None,
) -> str:
    """Run ``kedro`` in a project and return its output; end the benchmark if it fails.

    Args:
        project: its directory; its ``src`` is imported, whatever is installed.
        args: of ``kedro``.
        python: options of Python; their output is returned too.
        path: additional directories to import from.
        environment: additional variables.
    """
    variables = {
        **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONPATH": os.pathsep.join(map(str, [*path, project / "src"])),
        "KEDRO_LOGGING_CONFIG": str(project / "conf" / "logging.yml"),
        "KEDRO_DISABLE_TELEMETRY": "1",
        "COLUMNS": "200",
        **(environment or {}),
    }
    command = [sys.executable, *python, "-m", "kedro", *args]
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout[-4000:] + done.stderr[-4000:])
    return done.stdout + (done.stderr if python else "")
