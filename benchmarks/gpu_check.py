"""Check the code for GPUs, in ten minutes at most, and write one JSON file to attach to a report.

    make gpu-check               # where there is no GPU: make gpu-check DEVICE=cpu

It runs tests/gpu, a process per file, and the benchmarks of the models' work at small sizes. What
exceeds its time is ended and recorded as such. Nothing is sent anywhere; the file holds versions,
the names of the GPUs, each test's outcome and time, and the benchmarks' figures.
"""

import argparse
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import measuring

ROOT = Path(__file__).parents[1]
SECONDS_EACH = 180.0  # of a file of tests, or a benchmark
TESTS = [
    f"tests/gpu/test_{name}.py" for name in ("packing", "scoring", "router", "sft", "vllm", "ranks")
]
BENCHMARKS = {
    "scoring_memory": (),
    "routing": ("--prompts", "80"),
    "router_training": ("--prompts", "16"),
    "scoring": ("--prompts", "4"),
    "sft": ("--rows", "16"),
    "generation": ("--prompts", "32", "--repeats", "3"),
}
ON_A_CPU = ("--repeats", "1")  # there it shows that they run, not how fast
NEEDS = {"generation": "vllm"}  # beside what `make install` installs
SHOWN = 3000  # characters of a failure


class Clock:
    """What is left of the time for everything."""

    def __init__(self, minutes: float) -> None:
        self._end = time.monotonic() + 60 * minutes

    def left(self) -> float:
        """Return the seconds that the next part may take."""
        return min(SECONDS_EACH, self._end - time.monotonic())


def environment() -> dict[str, Any]:
    """Return versions and devices."""
    import torch

    gpus = []
    for i in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(i)
        gpus.append({"name": found.name, "capability": f"{found.major}.{found.minor}",
                     "memory_gib": round(found.total_memory / 2**30, 1)})  # fmt: skip
    return {
        **measuring.machine(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "commit": _said("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "cuda": torch.version.cuda,
        "nccl": ".".join(map(str, torch.cuda.nccl.version())) if gpus else None,
        "driver": _said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "gpus": gpus,
    }


def _said(*command: str) -> str | None:
    """Return the first line that a command prints, if it is there and can."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.splitlines()
    return lines[0] if lines and done.returncode == 0 else None


def run(command: Sequence[str], seconds: float) -> tuple[str, float, str]:
    """Return passed, failed or timed out, the seconds it took, and the end of what it printed."""
    if seconds <= 0:
        return "not run: no time was left", 0.0, ""
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            outcome = "failed" if process.wait(seconds) else "passed"
        except subprocess.TimeoutExpired:
            outcome = f"timed out after {seconds:.0f} s"
        finally:
            _end(process)
        taken = time.monotonic() - begun
        output.seek(0)
        return outcome, taken, _shown(output.read())


def _end(process: "subprocess.Popen[Any]") -> None:
    """End what the process has started and left behind, and itself."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _shown(text: str) -> str:
    return text.replace(str(Path.home()), "~")[-SHOWN:]


def tests_of(file: str, device: str, seconds: float) -> Iterator[dict[str, Any]]:
    """Run a file of tests; yield each one's name, outcome, seconds and reason."""
    with tempfile.TemporaryDirectory() as place:
        junit = Path(place) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file,
                   "-c", str(ROOT / "pyproject.toml"), "-m", _marked(device),
                   f"--junitxml={junit}"]  # fmt: skip
        outcome, taken, output = run(command, seconds)
        cases: Iterable[ElementTree.Element] = ()
        if junit.exists():
            cases = ElementTree.parse(junit).iter("testcase")  # noqa: S314 - pytest's own
        rows = [_outcome(file, case) for case in cases]
        yield from rows
        # It was ended, died or hung at its end, or has no test.
        if outcome != "passed" and not any(row["outcome"] == "failed" for row in rows):
            yield {"test": file, "outcome": outcome, "seconds": taken, "reason": output}


def _marked(device: str) -> str:
    return "gpu" if device == "cuda" else "not gpu"


def _outcome(file: str, case: ElementTree.Element) -> dict[str, Any]:
    """Return a test's record from its JUnit element."""
    row = {"test": f"{file}::{case.get('name')}", "seconds": float(case.get("time", 0))}
    for child in case:
        if child.tag in ("failure", "error", "skipped"):
            outcome = "skipped" if child.tag == "skipped" else "failed"
            said = child.get("message", "") if outcome == "skipped" else child.text or ""
            return {**row, "outcome": outcome, "reason": _shown(said)}
    return {**row, "outcome": "passed"}


def benchmark(
    name: str, options: Sequence[str], device: str, seconds: float, directory: Path
) -> dict[str, Any]:
    """Run a benchmark; return its outcome, seconds, rows and facts."""
    row: dict[str, Any] = {"benchmark": name, "options": list(options)}
    needed = NEEDS.get(name)
    if needed and not importlib.util.find_spec(needed):
        return {**row, "outcome": "skipped", "seconds": 0.0, "reason": f"{needed} is not installed"}
    written = directory / "results" / f"{name}.json"
    written.unlink(missing_ok=True)  # of an earlier run
    command = [sys.executable, str(directory / f"{name}.py"), "--device", device, *options]
    outcome, taken, output = run(command, seconds)
    row |= {"outcome": outcome, "seconds": taken}
    if outcome == "passed":
        found = json.loads(written.read_text())
        return {**row, "rows": found["rows"], "facts": found["facts"]}
    return {**row, "reason": output}


def check(
    device: str, minutes: float, tests: Sequence[str], benchmarks: Sequence[str], directory: Path
) -> dict[str, Any]:
    """Run everything and return the document to write; each outcome is printed as it comes."""
    document: dict[str, Any] = {
        "device": device,
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": environment(),
        "tests": [],
        "benchmarks": [],
    }
    clock = Clock(minutes)
    for file in tests:
        for row in tests_of(file, device, clock.left()):
            document["tests"].append(row)
            _print(row["test"], row)
    for name in benchmarks:
        options = (*BENCHMARKS.get(name, ()), *(ON_A_CPU if device == "cpu" else ()))
        row = benchmark(name, options, device, clock.left(), directory)
        document["benchmarks"].append(row)
        _print(name, row)
    return document


def _print(name: str, row: dict[str, Any]) -> None:
    reason = f" ({row['reason']})" if row["outcome"] == "skipped" else ""
    print(f"{row['outcome']:8} {row['seconds']:6.1f} s  {name}{reason}", flush=True)


def main() -> int:
    """Check, write the file, and return 1 if something failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--minutes", type=float, default=9.5)
    parser.add_argument("--tests", nargs="*", default=TESTS, help="files, from the root")
    parser.add_argument("--benchmarks", nargs="*", default=list(BENCHMARKS))
    parser.add_argument("--directory", type=Path, default=Path(__file__).parent,
                        help="of the benchmarks")  # fmt: skip
    parser.add_argument("--output", type=Path, default=ROOT / "gpu-check.json")
    args = parser.parse_args()
    if args.device == "cuda":
        measuring.check_cuda(parser)
    document = check(args.device, args.minutes, args.tests, args.benchmarks, args.directory)
    args.output.write_text(json.dumps(document, indent=2) + "\n")
    rows = document["tests"] + document["benchmarks"]
    bad = [row for row in rows if row["outcome"] not in ("passed", "skipped")]
    print(f"{len(rows)} tests and benchmarks, of which {len(bad)} failed or did not end: "
          f"{args.output}")  # fmt: skip
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
