"""Loads and wall time of a run whose models stay loaded, and of one that loads them for each step.

    .venv/bin/python benchmarks/kept_models.py            # a small run: two models, few prompts
    .venv/bin/python benchmarks/kept_models.py --full     # the demo's own settings

Each turn is `kedro run` in a copy of this project without data; the models are converted already.
Loads are those of the run's log: a child process that loads a model. Ends with an error if both
ways do not make the same training set and metrics.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from measuring import alternate, arguments, compared, report
from project_copy import copy_project, kedro, small_run, write

WAYS = {
    "loaded for each step": "engine.keep_loaded=false,engine.order=settings",
    "kept": "engine.keep_loaded=true",
}
SMALL = {
    "models": {
        "qwen-0_5b": {"zoo": "qwen2.5-coder-0.5b", "family": "qwen2.5"},
        "smollm2": {"zoo": "smollm2", "family": "smollm2"},
    },
    "teachers": {
        "qwen": {"model": "qwen-0_5b", "sampling": {"max_new_tokens": 48}},
        "brief": {"model": "smollm2", "sampling": {"max_new_tokens": 48}},
    },
    **small_run(48),
    "sft": {"epochs": 1},
    "tracking": {"to": []},
}
LOADS = re.compile(r"INFO +(\S.*): (loading|still loaded) *$", re.MULTILINE)


def main() -> None:
    """Let both ways take turns and report their seconds and loads."""
    options = arguments(
        __doc__,
        repeats=2,
        full={"action": "store_true", "help": "the demo's own settings (half an hour a turn)"},
        engine={"choices": ["vllm", "transformers"], "default": "vllm"},
    )
    outputs: dict[str, str] = {}
    made: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        project = copy_project(Path(scratch) / "project")
        write(project / "conf" / "small", {"parameters.yml": json.dumps(SMALL)})
        environment = "base" if options.full else "small"

        kedro(project, "fetch-models", f"--env={environment}")

        def turn(name: str, params: str) -> Callable[[], None]:
            def run() -> None:
                shutil.rmtree(project / "data", ignore_errors=True)
                outputs[name] = kedro(
                    project,
                    "run",
                    f"--env={environment}",
                    f"--params=engine.name={options.engine},{params}",
                )
                made[name] = results(project / "data")

            return run

        ways = {name: turn(name, params) for name, params in WAYS.items()}
        seconds = alternate(ways, options.repeats, warm_up=not options.full)
    check(made)
    rows = [
        {**row, "loads": len(loads(outputs[row["way"]], "loading"))}
        for row in compared(seconds, next(iter(WAYS)))
    ]
    spared = loads(outputs["kept"], "still loaded")
    name = f"kept_models_{environment}_{options.engine}"
    report(name, rows, found_loaded=", ".join(spared) or "none")


def loads(output: str, how: str) -> list[str]:
    """Return what was loaded, or found loaded, in a run's order."""
    return [name for name, found in LOADS.findall(output) if found == how]


def results(data: Path) -> Mapping[str, bytes]:
    """Return the files that must be equal, by name."""
    names = ("sft_dataset.parquet", "evaluation_metrics.json", "router_metrics.json")
    return {f.name: f.read_bytes() for n in names for f in data.rglob(f"{n}/*/{n}")}


def check(made: Mapping[str, Mapping[str, bytes]]) -> None:
    """Raise unless all ways made the same."""
    first, *others = made.values()
    if len(first) != 3 or any(other != first for other in others):
        raise SystemExit("the ways did not make the same")


if __name__ == "__main__":
    main()
