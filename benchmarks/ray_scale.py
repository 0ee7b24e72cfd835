"""Seconds per prompt and memory of prepare, route and generate through Ray, as the prompts grow.

    .venv/bin/python benchmarks/ray_scale.py                                # 10K and 50K, minutes
    .venv/bin/python benchmarks/ray_scale.py --sizes 10000 100000 1000000

The same as `table_scale.py` (twenty teachers on four models that answer immediately, a router that
scores immediately, the project's own pipelines, catalog and checks), but with engine `ray` on a
cluster of this machine: the answers and scores come from Ray's actors, so that this measures how
the tables get there and back. Once a second the largest private memory is noted, separately for

- the run: `kedro`'s own process, and the largest of the child processes that are Ray's drivers;
- an actor: the largest of Ray's workers, and all of them together;
- Ray itself: its daemons together, and its object store (by the use of /dev/shm, which includes
  other clusters on the machine).
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import psutil
import table_scale
from measuring import arguments, report

SHARED = "/dev/shm"  # noqa: S108 - location of Ray's object store
DAEMONS = ("raylet", "gcs_server", "agent", "log_monitor", "monitor.py", "dashboard")


def make_project(directory: Path, prompts: int, actors: int, models_at_once: int) -> None:
    """Write the project of `table_scale`, with engine and router on a cluster of this machine."""
    table_scale.make_project(directory, prompts)
    file = directory / "conf" / "scale" / "parameters.yml"
    settings = json.loads(file.read_text())
    path = os.pathsep.join([str(Path(__file__).parent), str(table_scale.ROOT / "src")])
    settings["engine"] = {
        "name": "ray",
        "inside": f"{table_scale.ENGINE}:instant_answers",
        "chunk_size": 512,
        "models_at_once": models_at_once,
    }
    settings["cluster"] = {
        "address": "local",
        "actors": actors,
        "runtime_env": {"env_vars": {"PYTHONPATH": path}},
    }
    file.write_text(json.dumps(settings))


def watch(process: "subprocess.Popen[bytes]") -> dict[str, float]:
    """Return the peaks, in GiB by kind of process, of a command and all that it starts."""
    peaks: dict[str, float] = defaultdict(float)
    before = shutil.disk_usage(SHARED).used
    while process.poll() is None:
        now = _resident(psutil.Process(process.pid))
        now["object store"] = shutil.disk_usage(SHARED).used - before
        for kind, size in now.items():
            peaks[kind] = max(peaks[kind], size / 2**30)
        time.sleep(1)
    return dict(peaks)


def _resident(main: psutil.Process) -> dict[str, float]:
    """Return bytes by kind of process now."""
    found: dict[str, float] = defaultdict(float)
    try:
        family = [main, *main.children(recursive=True)]
    except psutil.NoSuchProcess:
        return found
    for process in family:
        try:
            name, line = process.name(), " ".join(process.cmdline())
            private = _private(process.pid)
        except (psutil.Error, OSError, KeyError):
            continue  # it has ended
        if name.startswith("ray::") or line.startswith("ray::"):
            found["all actors"] += private
            found["largest actor"] = max(found["largest actor"], private)
        elif any(daemon in line for daemon in DAEMONS):
            found["Ray's daemons"] += private
        elif process.pid == main.pid:
            found["kedro"] = private
        else:
            found["largest child"] = max(found["largest child"], private)
    return found


def _private(pid: int) -> float:
    """Return resident bytes that are neither file-backed nor shared with another process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = {name: value for name, _, value in (line.partition(":") for line in lines)}
    return 1024.0 * int(values["RssAnon"].split()[0])


def measured(prompts: int, options: Any) -> list[dict[str, Any]]:
    """Run one size in its own process; return its rows, with the peaks of the full run."""
    directory = Path(tempfile.mkdtemp(prefix=f"{prompts}-", dir=options.keep))
    try:
        make_project(directory, prompts, options.actors, options.models_at_once)
        command = [sys.executable, __file__, f"--measure={directory}", f"--sizes={prompts}"]
        environment = {**os.environ, "RAY_TMPDIR": str(directory / "ray")}
        with (directory / "log.txt").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            peaks = watch(process)
        if process.returncode:
            raise SystemExit((directory / "log.txt").read_text()[-4000:])
        rows = json.loads((directory / "rows.json").read_text())
        return [{**row, "peaks": peaks} for row in rows]
    finally:
        if not options.keep:
            shutil.rmtree(directory)


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each size: seconds by step, per prompt, and the peaks of memory in GiB."""
    found: list[dict[str, Any]] = []
    for prompts in dict.fromkeys(row["prompts"] for row in rows):
        own = [r for r in rows if r["prompts"] == prompts and r["node"] == "(whole run)"]
        seconds = {r["run"]: r["seconds"] for r in own}
        whole = sum(s for run, s in seconds.items() if "full" not in run)
        entry: dict[str, Any] = {"prompts": prompts, **seconds}
        entry["us per prompt"] = 1e6 * whole / prompts
        if found:
            entry["to the size before"] = entry["us a prompt"] / found[-1]["us a prompt"]
        found.append(entry | {f"{kind}, GiB": size for kind, size in own[0]["peaks"].items()})
    return found


def main() -> None:
    """Measure each size in a fresh process, with its own cluster."""
    options = arguments(
        __doc__,
        sizes={"type": int, "nargs": "+", "default": [10_000, 50_000]},
        actors={"type": int, "default": 1, "help": "actors that route"},
        models_at_once={"type": int, "default": 4, "help": "models at once, of four"},
        keep={"default": None, "help": "keep the projects in this directory"},
        measure={"default": None, "help": "(internal) run one size in this directory"},
    )
    if options.measure:
        rows = table_scale.measure(Path(options.measure), options.sizes[0])
        Path(options.measure, "rows.json").write_text(json.dumps(rows))
        return
    rows = [r for size in options.sizes for r in measured(size, options)]
    report("ray_scale_nodes", [{k: v for k, v in row.items() if k != "peaks"} for row in rows])
    report("ray_scale", summary(rows))


if __name__ == "__main__":
    main()
