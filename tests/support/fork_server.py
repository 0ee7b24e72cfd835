"""The server that the models' processes of tests' runs are forked from (``imported_once``)."""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from persyn_kedro.foundations.processes.fork_server import QUIET, SERVER
from persyn_kedro.foundations.settings.needs import Needs
from persyn_kedro.runs.preload import imports_of
from tests.support.imported_once.sitecustomize import ADDRESS

SITE = str(Path(__file__).with_name("imported_once"))
# What libraries read when they are imported: a server is for runs that have it alike.
READ = tuple(
    "ARROW CUDA HF_ HOME HUGGING JE_ LANG LC_ LD_ MALLOC MKL NUM OMP OPENBLAS PYTHONHASHSEED "
    "PYTORCH TORCH TOKENIZERS TRANSFORMERS TZ USE_ VLLM XDG".split()
)
AT_START = dict(os.environ)  # not what the first test that asks has changed


@dataclass(frozen=True)
class Server:
    """A running server; it ends once nothing holds ``alive`` open.

    Attributes:
        address: of its socket.
    """

    address: str
    process: "subprocess.Popen[bytes]"
    alive: int


def shared_imports(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which a run has its models forked from a server of pytest's."""
    if sys.platform != "linux":
        return {}
    server = _server_for(_read(environment))
    if server is None or server.process.poll() is not None:  # the kernel may have ended it
        return {}
    path = [SITE, *filter(None, [environment.get("PYTHONPATH")])]
    return {ADDRESS: server.address, "PYTHONPATH": os.pathsep.join(path)}


def _read(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ)}


def _server_for(read: dict[str, str]) -> Server | None:
    """Return the server of an environment: pytest's own, or the newest that asked twice."""
    global _other
    if read == _read(AT_START):
        return _usual()
    if _other is None or _other[0] != read:
        if read not in _once:
            _once.append(read)  # for one run alone, its own server imports less
            return None
        if _other is not None:
            os.close(_other[1].alive)
        _other = read, _start(read)
    return _other[1]


_once: list[dict[str, str]] = []
_other: tuple[dict[str, str], Server] | None = None


@cache
def _usual() -> Server:
    return _start(_read(AT_START))


def _start(read: dict[str, str]) -> Server:
    """Start a server. It imports nothing of ours: the runs have their own copies."""
    directory = tempfile.mkdtemp(prefix="fork-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    address = str(Path(directory, "socket"))
    modules = imports_of(~Needs.HARNESS, "transformers")
    alive_r, alive_w = os.pipe()  # whose other end closes as pytest ends
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        command = (
            f"from sitecustomize import serve; serve({listener.fileno()}, {alive_r}, {modules})"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", command],
            env={**QUIET, **read, **SERVER, "PATH": os.environ["PATH"], "PYTHONPATH": SITE},
            pass_fds=(listener.fileno(), alive_r),
        )
    os.close(alive_r)
    return Server(address, process, alive_w)
