"""The server that the models' processes of tests' runs are forked from (``imported_once``)."""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from persyn_kedro.foundations.processes.fork_server import QUIET, SERVER
from persyn_kedro.foundations.settings.needs import Needs
from persyn_kedro.runs.preload import imports_of
from tests.support.imported_once.sitecustomize import ADDRESS

SITE = str(Path(__file__).with_name("imported_once"))
# What libraries read when they are imported: a run for which it differs has a server of its own.
READ = tuple(
    "ARROW CUDA HF_ HOME HUGGING JE_ LANG LC_ LD_ MALLOC MKL NUM OMP OPENBLAS PYTHONHASHSEED "
    "PYTORCH TORCH TOKENIZERS TRANSFORMERS TZ USE_ VLLM XDG".split()
)
AT_START = dict(os.environ)  # not what the first test that asks has changed


def shared_imports(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which a run has its models forked from the server."""
    if sys.platform != "linux":
        return {}
    address, read, process = _server()
    if process.poll() is not None or _read(environment) != read:  # the kernel may have ended it
        return {}
    path = [SITE, *filter(None, [environment.get("PYTHONPATH")])]
    return {ADDRESS: address, "PYTHONPATH": os.pathsep.join(path)}


def _read(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ)}


@cache
def _server() -> "tuple[str, dict[str, str], subprocess.Popen[bytes]]":
    """Return the server's address, what it was started with, and its process.

    It imports nothing of ours: the runs have their own copies.
    """
    environment = _read(AT_START)
    directory = tempfile.mkdtemp(prefix="fork-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    address = str(Path(directory, "socket"))
    modules = imports_of(~Needs.HARNESS, "transformers")
    alive_r, alive_w = os.pipe()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        command = (
            f"from sitecustomize import serve; serve({listener.fileno()}, {alive_r}, {modules})"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", command],
            env={**QUIET, **environment, **SERVER, "PATH": os.environ["PATH"], "PYTHONPATH": SITE},
            pass_fds=(listener.fileno(), alive_r),
        )
    os.close(alive_r)
    atexit.register(os.close, alive_w)  # with which it ends
    return address, environment, process
