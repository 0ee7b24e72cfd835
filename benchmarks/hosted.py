"""Calls of hosted teachers: ours, bare clients and two peers, against a server on this machine.

    .venv/bin/python benchmarks/hosted.py                   # all ways, long
    .venv/bin/python benchmarks/hosted.py --memory 10000 100000 1000000

A server in a process of its own (hosted_server.py) answers after 0.5 s ± 50 %, drawn from a seed.
Each way (hosted_ways.py) has a process, and, but for ours, an environment of its own, which is
made in the cache at the first run, from the package index alone; a peer that cannot be installed
says so in its row. Ours has store, budget and ledger on. The ways take turns, and of each the best
turn counts, since other work on the machine can only slow one down.

Aims: 0.9 of the fastest bare client's calls per second and 1.15 of Bespoke Curator's; ten teachers
in 1.2 of the slowest one's time alone; 1,000 at once; memory that hardly grows with the calls.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hosted_server import serving
from measuring import arguments, report

SECONDS = 0.5
PACKAGES = {
    "openai": "openai[aiohttp]==3.57.0",
    "openai on aiohttp": "openai[aiohttp]==3.57.0",
    "Bespoke Curator": "bespokelabs-curator==0.1.31",
    "Data Designer": "data-designer==0.9.7",
}
BARE = ("aiohttp", "openai", "openai on aiohttp")
HERE = Path(__file__).parent


def main() -> None:
    """Measure throughput, ten teachers, a thousand at once, and memory."""
    options = arguments(
        __doc__,
        calls={"type": int, "default": 4000},
        at_once={"type": int, "default": 256},
        memory={"type": int, "nargs": "*", "default": [10_000, 100_000]},
    )
    with serving(SECONDS) as url:
        throughput(url, options.calls, options.at_once, options.repeats)
        ten_teachers(url, options.repeats)
        thousand(url, options.calls)
    with serving(0) as url:
        memory(url, options.memory)


def throughput(url: str, calls: int, at_once: int, repeats: int) -> None:
    """Compare the ways on the same calls."""
    best, missing = best_of(["ours", *BARE, "Bespoke Curator", "Data Designer"], url, calls,
                            at_once, repeats)  # fmt: skip
    fastest = min((best[way]["seconds"], way) for way in BARE if way in best)[1]
    rows = [
        {
            "way": way,
            "calls/s": calls / result["seconds"],
            "to ours": best["ours"]["seconds"] / result["seconds"],
            "processor ms a call": 1000 * result["processor"] / calls,
        }
        for way, result in best.items()
    ]
    rows += [{"way": way, "not measured": why} for way, why in missing.items()]
    of_bare = best[fastest]["seconds"] / best["ours"]["seconds"]
    facts: dict[str, Any] = {f"ours to the fastest bare client ({fastest}), aim 0.9": of_bare}
    if "Bespoke Curator" in best:
        to_curator = best["Bespoke Curator"]["seconds"] / best["ours"]["seconds"]
        facts["ours to Bespoke Curator, aim 1.15"] = to_curator
    report("hosted_calls", rows, calls=calls, at_once=at_once, turns=repeats, **facts)


def ten_teachers(url: str, repeats: int, prompts: int = 64, at_once: int = 8) -> None:
    """Compare ten teachers with each of them alone."""
    alone = [measure("ours", url, prompts, at_once)["seconds"] for _ in range(10)]
    best, _ = best_of(["ours, ten teachers"], url, prompts, at_once, repeats)
    seconds = best["ours, ten teachers"]["seconds"]
    rows = [
        {"teachers": "the slowest of ten, alone", "seconds": max(alone), "ratio": 1.0},
        {"teachers": "ten at once", "seconds": seconds, "ratio": seconds / max(alone)},
        {"teachers": "ten in a row", "seconds": sum(alone), "ratio": sum(alone) / max(alone)},
    ]
    report("hosted_teachers", rows, prompts=prompts, at_once=at_once, aim="ten in 1.2 of one")


def thousand(url: str, calls: int) -> None:
    """See that a thousand can be under way."""
    result = measure("ours, chunks of 512", url, calls, 1000)
    report("hosted_thousand", [{"at once": 1000, "calls/s": calls / result["seconds"]}])


def memory(url: str, sizes: Sequence[int]) -> None:
    """Compare the peak memory of few and many calls."""
    results = {size: measure("ours, chunks of 512", url, size, 64) for size in sizes}
    first = results[sizes[0]]
    rows = [
        {
            "calls": size,
            "peak_gib": result["peak_gib"],
            "to the first": result["peak_gib"] / first["peak_gib"],
            "processor ms a call": 1000 * result["processor"] / size,
        }
        for size, result in results.items()
    ]
    report("hosted_memory", rows)


def best_of(
    ways: Sequence[str], url: str, calls: int, at_once: int, repeats: int
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Return each way's fastest turn, and why others could not be measured."""
    best: dict[str, dict[str, float]] = {}
    missing: dict[str, str] = {}
    for _ in range(repeats):
        for way in ways:
            if way in missing:
                continue
            try:
                result = measure(way, url, calls, at_once)
            except subprocess.CalledProcessError as error:
                if way.startswith("ours"):
                    raise SystemExit(error.stderr[-4000:]) from None
                missing[way] = (error.stderr.strip().splitlines() or ["no reason given"])[-1][:200]
                continue
            print(f"{way}: {json.dumps(result)}", file=sys.stderr, flush=True)
            if way not in best or result["seconds"] < best[way]["seconds"]:
                best[way] = result
    return best, missing


def measure(way: str, url: str, calls: int, at_once: int) -> dict[str, float]:
    """Run a way once, in its environment and an empty directory."""
    variables: Mapping[str, str] = {
        **os.environ,
        "PYTHONPATH": "" if way in PACKAGES else str(HERE.parent / "src"),
        "OMP_NUM_THREADS": "1",
    }
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            python_of(way), str(HERE / "hosted_ways.py"), way, url, str(calls), str(at_once),
            f"{scratch}/work",
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=scratch, env=variables, capture_output=True, text=True, check=True
        )
    return json.loads(done.stdout.strip().splitlines()[-1])


def python_of(way: str) -> str:
    """Return the Python that has what a way needs; its environment is made if it is not there."""
    from persyn_kedro.foundations.storage import cache_directory

    if way not in PACKAGES:
        return sys.executable
    package = PACKAGES[way]
    directory = cache_directory() / "benchmarks" / package.replace("==", "-").replace("[", "-")
    python, made = directory / "bin" / "python", directory / "made"
    if not made.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        install = [python, "-m", "pip", "install", "--quiet", package]
        subprocess.run(install, check=True, capture_output=True, text=True)
        made.touch()
    return str(python)


if __name__ == "__main__":
    main()
