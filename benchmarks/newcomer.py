"""From ``git clone`` to the demo's table, as on a fresh machine, and where the time goes.

    .venv/bin/python benchmarks/newcomer.py

Clones this repository into a temporary directory, with empty caches of pip, uv and models, and
types what ``make demo`` does, part by part. Aim: at most ten minutes on two cores. It is the one
benchmark whose result is minutes, for that is what a newcomer waits; the shares say where they go.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measuring import RESULTS

ROOT = Path(__file__).parent.parent
AIM_MINUTES = 10.0
PARTS = {  # of `make demo`, in its order
    "install": ["make", ".venv/.demo"],
    "fetch and convert the models": [".venv/bin/kedro", "fetch-models"],
    "run": ["make", "demo"],
}


def main() -> None:
    """Measure, print a table, and write it to benchmarks/results."""
    with tempfile.TemporaryDirectory() as place:
        clone, seconds = Path(place) / "clone", {}
        environment = fresh(Path(place))
        seconds["clone"] = timed(
            ["git", "clone", "--quiet", str(ROOT), str(clone)], ROOT, environment
        )
        for name, command in PARTS.items():
            seconds[name] = timed(command, clone, environment)
        rows = table(seconds, steps(clone), sum(seconds.values()))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "newcomer.json").write_text(json.dumps(rows, indent=1))
    for row in rows:
        print(f"{row['part']:<48}{row['minutes']:6.1f} min{row['share']:7.1%}")


def fresh(place: Path) -> dict[str, str]:
    """Return the environment of somebody who has nothing yet: no caches, no venv."""
    unset = ("VIRTUAL_ENV", "PYTHONPATH", "PERSYN_ARCHIVES", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    caches = {
        "PERSYN_CACHE": "models",
        "HF_HOME": "hub",
        "UV_CACHE_DIR": "uv",
        "PIP_CACHE_DIR": "pip",
    }
    return {**kept, **{name: str(place / folder) for name, folder in caches.items()}}


def timed(command: list[str], directory: Path, environment: Mapping[str, str]) -> float:
    """Return the seconds that a command takes; its output goes to this terminal."""
    begun = time.monotonic()
    subprocess.run(command, cwd=directory, env=dict(environment), check=True)
    return time.monotonic() - begun


def steps(clone: Path) -> dict[str, float]:
    """Return the seconds of each node of the run, from its manifest."""
    manifests = sorted(clone.glob("data/08_reporting/run_manifest.json/*/run_manifest.json"))
    return dict(json.loads(manifests[-1].read_text())["seconds"])


def table(seconds: Mapping[str, float], nodes: Mapping[str, float], whole: float) -> list[Any]:
    """Return a row for each part, for the run's longest nodes, and for all; minutes and shares."""
    parts: list[tuple[str, float]] = []
    for name, took in seconds.items():
        parts.append((name, took))
        if name == "run":
            longest = sorted(nodes.items(), key=lambda item: -item[1])[:8]
            parts += [(f"  {node}", own) for node, own in longest]
    parts.append((f"all (aim: {AIM_MINUTES:g})", whole))
    return [{"part": n, "minutes": s / 60, "share": s / whole} for n, s in parts]


if __name__ == "__main__":
    main()
