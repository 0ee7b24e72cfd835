"""Seconds per prompt and peak memory of prepare, route and generate, as the prompts grow.

    .venv/bin/python benchmarks/table_scale.py                              # 10K and 50K, minutes
    .venv/bin/python benchmarks/table_scale.py --sizes 10000 100000 1000000

The project's own pipelines run through Kedro with the base catalog, table checks, step records and
hooks; only models are replaced: twenty teachers on four models answer immediately, and a router
scores immediately. So this measures the work on the tables. `generate` runs a second time with a
full response store. Each size has its own process; models and router have their own processes, as
always, the largest of which is reported separately (`child`). If other work shares the machine, the
main process's processor time (`cpu`) says more than the clock.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
ENGINE = "instant_engine.py"
MODELS, SYSTEMS = 4, 5
TEACHERS = [f"teacher-{n:02d}" for n in range(MODELS * SYSTEMS)]
WORDS = "the sum of these parts is the answer and so we add them one by one ".split()
TEXT = " ".join(WORDS[n * n % len(WORDS)] for n in range(80))  # about 400 characters
RUNS = {
    "prepare": ["prepare"],
    "route": ["route"],
    "generate": ["generate"],
    "generate, full store": ["generate"],
}


def instant_answers(requests: Any, model: Any, engine: Any) -> Iterator[Any]:
    """Stand in for an engine: every request gets an answer of its own."""
    from persyn_kedro.domain.engines.base import Generation

    for request in requests:
        yield Generation(request.key, f"{request.key[:8]} {TEXT}", "stop", 40, 90)


def instant_scorer(*_: Any) -> Any:
    """Stand in for a router, whatever its arguments: 16 prompts at a time."""
    random = np.random.default_rng(0)

    def score(prompts: Any) -> Iterator[Any]:
        from persyn_kedro.domain.routers.scored import Scored

        for start in range(0, len(prompts), 16):
            rows = len(prompts[start : start + 16])
            yield Scored(random.normal(size=(rows, len(TEACHERS))).astype(np.float32))

    return score


def make_project(directory: Path, prompts: int) -> None:
    """Write prompts, four models that nothing loads, and the settings of environment `scale`."""
    for name in ("conf", "pyproject.toml", ".telemetry"):
        source = ROOT / name
        copy: Any = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, directory / name)
    (directory / "src").mkdir()
    (directory / ENGINE).write_text("from table_scale import instant_answers\n")
    with (directory / "prompts.jsonl").open("w") as file:
        for n in range(prompts):
            text = f"Question {n}: what is {n * 7919 % 10007} + {n % 97}? {TEXT[:120]}"
            file.write(json.dumps({"prompt": text}) + "\n")
    for n in range(MODELS):
        model = directory / "models" / str(n)
        model.mkdir(parents=True)
        (model / "config.json").write_text(json.dumps({"max_position_embeddings": 4096}))
        (model / "model.safetensors").write_text(str(n))
    settings = {
        "seed": 7,
        "models": {f"m{n}": {"local": f"models/{n}"} for n in range(MODELS)},
        "teachers": {
            name: {"model": f"m{n % MODELS}", "system": f"Way {n // MODELS}."}
            for n, name in enumerate(TEACHERS)
        },
        "student": {"model": "m0"},
        "engine": {"name": f"{ENGINE}:instant_answers"},
        "prepare": {"source": {"file": "prompts.jsonl"}, "calibration_fraction": 0.02},
        "label": {"alpha": 1.0},
        "train_router": {"kind": "knn", "backbone": "m0"},
    }
    (directory / "conf" / "scale").mkdir()
    (directory / "conf" / "scale" / "parameters.yml").write_text(json.dumps(settings))
    (directory / "conf" / "scale" / "globals.yml").write_text("data: data")


def make_inputs(catalog: Any) -> None:
    """Save what `label` and `train_router` would: rewards of all teachers, and a router."""
    import pyarrow as pa
    import pyarrow.dataset as pads

    from persyn_kedro.domain.routers.saving import write_description
    from persyn_kedro.domain.teachers.recipe import pool_identity, resolve_recipes
    from persyn_kedro.foundations.settings.read import read_settings
    from persyn_kedro.foundations.tables import schemas

    settings = read_settings(catalog.load("parameters"))
    pool = pool_identity(resolve_recipes(settings.teachers, settings.models))
    router = Path("router")
    router.mkdir()
    write_description(router, {"kind": "knn", "teachers": pool})
    catalog.save("router", router)
    calibration = pads.field("split") == "calibration"
    ids = catalog.load("prompts").to_table(columns=["prompt_id"], filter=calibration)["prompt_id"]
    rewards = np.random.default_rng(1).uniform(size=(len(ids), len(TEACHERS)))

    def rows() -> Iterator[pa.RecordBatch]:
        for prompt_id, own in zip(ids.to_pylist(), rewards.tolist(), strict=True):
            yield pa.RecordBatch.from_pylist(
                [
                    {
                        "prompt_id": prompt_id,
                        "teacher": teacher,
                        "learnability": -1.0,
                        "learnability_normalised": reward,
                        "reward": reward,
                        "valid": True,
                    }
                    for teacher, reward in zip(TEACHERS, own, strict=True)
                ],
                schemas.REWARDS,
            )

    catalog.save("rewards", pa.RecordBatchReader.from_batches(schemas.REWARDS, rows()))


class ChildPeaks(logging.Handler):
    """Reads the children's peak memory (bytes) from the log lines at their end."""

    peaks: list[float] = [0.0]

    def emit(self, record: logging.LogRecord) -> None:
        if "peak memory" in str(record.msg) and isinstance(record.args, tuple):
            self.peaks.append(float(record.args[-1]) * 2**30)


def clocks() -> tuple[float, float]:
    """Return seconds: of the clock, and of this process's processor time."""
    return time.perf_counter(), time.process_time()


def peak_memory() -> float:
    """Return the largest resident size in GiB since the last `forget_peak`."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1]) for x in status if x.startswith("VmHWM")) / 2**20


def forget_peak() -> None:
    """Start the peak at the current resident size."""
    Path("/proc/self/clear_refs").write_text("5")


def measure(directory: Path, prompts: int) -> list[dict[str, Any]]:
    """Run the steps in this process; return a row for each node and for each run."""
    os.chdir(directory)
    os.environ["KEDRO_LOGGING_CONFIG"] = str(directory / "conf" / "logging.yml")
    os.environ["PERSYN_CACHE"] = str(directory / "cache")
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    from persyn_kedro.domain.routers import route
    from persyn_kedro.runs.runner import ResumingRunner

    route.prompt_scorer = instant_scorer
    rows: list[dict[str, Any]] = []

    def row(run: str, node: str, since: tuple[float, float]) -> dict[str, Any]:
        seconds, cpu = (now - then for now, then in zip(clocks(), since, strict=True))
        return {"prompts": prompts, "run": run, "node": node, "seconds": seconds, "cpu": cpu} | {
            "us per prompt": 1e6 * seconds / prompts,
            "cpu us per prompt": 1e6 * cpu / prompts,
            "peak GiB": peak_memory(),
            "child GiB": max(ChildPeaks.peaks) / 2**30,
        }

    class Timed(ResumingRunner):
        run_name = ""

        @staticmethod
        def _execute(task: Any) -> None:
            forget_peak()
            ChildPeaks.peaks = [0.0]
            start = clocks()
            ResumingRunner._execute(task)
            rows.append(row(Timed.run_name, task.node.name.rpartition(".")[2], start))

    bootstrap_project(directory)
    logging.getLogger("persyn_kedro.foundations.processes.child").addHandler(ChildPeaks())
    for name, pipelines in RUNS.items():
        with KedroSession.create(project_path=directory, env="scale") as session:
            if name == "route":
                make_inputs(session.load_context().catalog)
            Timed.run_name = name
            done, start = len(rows), clocks()
            session.run(pipeline_names=pipelines, runner=Timed(redo="full" in name))
        rows.append(row(name, "(whole run)", start))
        for kind in ("peak GiB", "child GiB"):
            rows[-1][kind] = max(r[kind] for r in rows[done:])
    with KedroSession.create(project_path=directory, env="scale") as session:
        check_whole(session.load_context().catalog)
    return rows


def check_whole(catalog: Any) -> None:
    """Raise unless every prompt that is not a test prompt has exactly one answer."""
    import pyarrow.compute as pc

    wanted = catalog.load("prompts").count_rows(filter=pc.field("split") != "test")
    answers = catalog.load("routed_responses").to_table(columns=["prompt_id"])["prompt_id"]
    if not wanted == len(answers) == len(answers.unique()):
        raise SystemExit(f"{wanted} prompts to answer, {len(answers)} answers")


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each size: all runs but the second `generate`, and the change in size."""
    found: list[dict[str, Any]] = []
    for prompts in dict.fromkeys(r["prompts"] for r in rows):
        own = [r for r in rows if r["prompts"] == prompts]
        whole = [r for r in own if r["node"] == "(whole run)" and "full" not in r["run"]]
        entry: dict[str, Any] = {"prompts": prompts}
        for kind in ("seconds", "cpu"):
            entry[kind] = sum(r[kind] for r in whole)
        entry["us per prompt"] = 1e6 * entry["seconds"] / prompts
        entry["cpu us per prompt"] = 1e6 * entry["cpu"] / prompts
        entry["peak GiB"] = max(r["peak GiB"] for r in own)
        entry["child GiB"] = max(r["child GiB"] for r in own)
        for kind in ("us per prompt", "cpu us per prompt") if found else ():
            entry[f"{kind}, to the size before"] = entry[kind] / found[-1][kind]
        found.append(entry)
    return found


def main() -> None:
    """Measure each size in a fresh process."""
    sys.path.insert(0, str(Path(__file__).parent))
    from measuring import arguments, report

    options = arguments(
        __doc__,
        sizes={"type": int, "nargs": "+", "default": [10_000, 50_000]},
        keep={"default": None, "help": "keep the projects in this directory"},
        measure={"default": None, "help": "(internal) run one size in this directory"},
    )
    if options.measure:
        rows = measure(Path(options.measure), options.sizes[0])
        Path(options.measure, "rows.json").write_text(json.dumps(rows))
        return
    rows = []
    for prompts in options.sizes:
        directory = Path(tempfile.mkdtemp(prefix=f"{prompts}-", dir=options.keep))
        try:
            make_project(directory, prompts)
            command = [sys.executable, __file__, f"--measure={directory}", f"--sizes={prompts}"]
            with (directory / "log.txt").open("w") as log:
                subprocess.run(command, check=True, stdout=log, stderr=log)
            rows += json.loads((directory / "rows.json").read_text())
        finally:
            if not options.keep:
                shutil.rmtree(directory)
    report("table_scale_nodes", rows)
    report("table_scale", summary(rows))


if __name__ == "__main__":
    main()
