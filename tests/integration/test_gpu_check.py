"""`make gpu-check` records every outcome, and ends in time; its tests run on this machine too."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

CHECK = ROOT / "benchmarks" / "gpu_check.py"

TESTS = """
import pytest

def test_good(): pass

def test_bad(): assert 1 == 2, "sums differ"

@pytest.mark.skip(reason="one GPU")
def test_left_out(): pass

@pytest.mark.gpu
def test_of_a_gpu(): raise AssertionError
"""
LINGERS = "import atexit, time\natexit.register(time.sleep, 1000)\ndef test_good(): pass\n"
HANGS = "import time\ndef test_hangs(): time.sleep(1000)\n"
DIES = "import os, signal\ndef test_dies(): os.kill(os.getpid(), signal.SIGKILL)\n"
BENCHMARK = f"""
import sys
sys.path.insert(0, {str(ROOT / "benchmarks")!r})
import measuring
from pathlib import Path
measuring.RESULTS = Path(__file__).parent / "results"
assert measuring.arguments("").device == "cpu"
measuring.report("figures", [{{"way": "ours", "ratio": 2.5}}], most=7)
"""


def checked(place: Path, *more: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    output = place / "report.json"
    command = [sys.executable, str(CHECK), "--output", str(output), *more]
    return subprocess.run(command, capture_output=True, text=True), output


def test_every_outcome_is_in_the_file(tmp_path: Path) -> None:
    for name, text in {
        "test_some.py": TESTS, "test_dies.py": DIES, "test_none.py": "", "figures.py": BENCHMARK,
        "broken.py": "raise SystemExit('no such model')",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    files = [str(tmp_path / f"test_{name}.py") for name in ("some", "dies", "none")]
    done, output = checked(
        tmp_path, "--device", "cpu", "--tests", *files, "--benchmarks", "figures", "broken",
        "--directory", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 1
    found = json.loads(output.read_text())
    assert found["device"] == "cpu" and found["environment"]["versions"]["torch"]
    assert {"cuda", "driver", "gpus", "nccl", "commit"} <= found["environment"].keys()
    outcomes = {row["test"].rpartition("/")[2]: row for row in found["tests"]}
    assert {name: row["outcome"] for name, row in outcomes.items()} == {
        "test_some.py::test_good": "passed",
        "test_some.py::test_bad": "failed",
        "test_some.py::test_left_out": "skipped",
        "test_dies.py": "failed",
        "test_none.py": "failed",
    }
    assert "sums differ" in outcomes["test_some.py::test_bad"]["reason"]
    assert outcomes["test_some.py::test_left_out"]["reason"] == "one GPU"
    figures, broken = found["benchmarks"]
    assert figures["rows"] == [{"way": "ours", "ratio": 2.5}] and figures["facts"] == {"most": 7}
    assert broken["outcome"] == "failed" and "no such model" in broken["reason"]
    assert "7 tests and benchmarks, of which 4 failed or did not end" in done.stdout


def test_what_does_not_end_in_time_is_ended_and_the_rest_is_not_begun(tmp_path: Path) -> None:
    (tmp_path / "test_hangs.py").write_text(HANGS)
    done, output = checked(
        tmp_path, "--device", "cpu", "--tests", str(tmp_path / "test_hangs.py"),
        "--benchmarks", "scoring", "--minutes", "0.05",
    )  # fmt: skip
    assert done.returncode == 1
    found = json.loads(output.read_text())
    assert found["tests"][0]["outcome"] == "timed out after 3 s"
    assert found["benchmarks"][0]["outcome"] == "not run: no time was left"


def test_tests_that_pass_and_do_not_end_are_told(tmp_path: Path) -> None:
    (tmp_path / "test_lingers.py").write_text(LINGERS)
    done, output = checked(
        tmp_path, "--device", "cpu", "--tests", str(tmp_path / "test_lingers.py"),
        "--benchmarks", "--minutes", "0.5",
    )  # fmt: skip
    assert done.returncode == 1
    outcomes = [row["outcome"] for row in json.loads(output.read_text())["tests"]]
    assert outcomes == ["passed", "timed out after 30 s"]


def test_a_processor_s_figures_do_not_pass_for_a_gpu_s(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done, output = checked(tmp_path, "--device", "cuda")
    assert done.returncode == 2 and not output.exists()
    assert "finds no CUDA GPU here; --device cpu runs the same" in done.stderr
    one = [sys.executable, str(CHECK.with_name("routing.py")), "--device", "cuda"]
    done = subprocess.run(one, capture_output=True, text=True)
    assert done.returncode == 2 and "finds no CUDA GPU here" in done.stderr


def test_the_files_of_the_check_are_there() -> None:
    text = CHECK.read_text()
    files = {path.stem.removeprefix("test_") for path in (ROOT / "tests/gpu").glob("test_*.py")}
    assert all(f'"{name}"' in text for name in files)
