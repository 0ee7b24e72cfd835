"""The sandbox: bubblewrap, a container if one is set, or none if that is allowed.

Within it there are no network, no environment variables, no other processes and no files but
Python's own (read-only) and an empty directory. A test is one process, whose CPU time, memory,
output and open files are bounded (``inside.py``).
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from persyn_kedro.foundations.errors import PersynError

SCRATCH_BYTES = 2**26  # of all files of an answer
_PATIENCE = 100  # seconds of the clock for each second of CPU time, at most
_START_SECONDS = 120
_NOBODY = "65534"
_HOME = "/work"
_ASKED = ("code", "function", "args", "stdin")  # of a test; the rest is what is expected
_TRIED = [{"code": "assert answer == 42"}]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sandbox:
    """Where code runs, and its limits for each test.

    Attributes:
        cpu_seconds: what decides. The clock stops only a test that waits, so that a busy machine
            changes no result.
        container: an image that has Python; None: bubblewrap.
        allow_unsandboxed: run code without any, if bubblewrap does not work here.
    """

    cpu_seconds: int
    memory_mb: int
    container: str | None = None
    allow_unsandboxed: bool = False

    def passed(self, code: str, tests: Sequence[Mapping[str, Any]]) -> list[bool] | None:
        """Return which tests the code passes; None if the sandbox itself failed.

        Raises:
            PersynError: there is no sandbox.
        """
        with tempfile.TemporaryDirectory() as directory:
            return self._run(self.command(), code, tests, directory)[0]

    def command(self) -> tuple[str, ...]:
        """Return the command that reads a job and judges it.

        Raises:
            PersynError: no sandbox works here, and none is not allowed.
        """
        sandboxed = self._container() if self.container else _bubblewrap()
        why = self._why_not(sandboxed)
        if why is None:
            return sandboxed
        name = "The container" if self.container else "bubblewrap (bwrap)"
        if self.container or not self.allow_unsandboxed:
            raise PersynError(
                f"Quality of kind code runs answers' code, but {name} does not work here "
                f"({why}): install "
                "bubblewrap 0.8 or newer, set container to an image that has Python, or set "
                "allow_unsandboxed: true to run models' code with limits only."
            )
        return _alone()

    def _why_not(self, command: tuple[str, ...]) -> str | None:
        return _tried(self, command)

    def _container(self) -> tuple[str, ...]:
        """Return the command with Docker's options, which Podman shares."""
        program = shutil.which("podman") or shutil.which("docker") or "docker"
        return (
            program, "run", "--rm", "-i", "--network", "none", "--read-only", "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", "--user", f"{_NOBODY}:{_NOBODY}",
            "--pids-limit", "256", "--memory", f"{2 * self.memory_mb + 256}m",
            "--tmpfs", f"{_HOME}:size={SCRATCH_BYTES},mode=1777", "--workdir", _HOME,
            "--env", "PYTHONHASHSEED=0", str(self.container), "python3", *_program(),
        )  # fmt: skip

    def _run(
        self,
        command: Sequence[str],
        code: str,
        tests: Sequence[Mapping[str, Any]],
        directory: str,
    ) -> tuple[list[bool] | None, str]:
        """Return which tests passed, and what the sandbox said on stderr."""
        most = _PATIENCE * self.cpu_seconds
        limits = {
            "cpu_seconds": self.cpu_seconds,
            "most_seconds": most,
            "memory_bytes": self.memory_mb * 2**20,
        }
        asked = [{name: t[name] for name in _ASKED if name in t} for t in tests]
        expected = [{name: t[name] for name in t if name not in _ASKED} for t in tests]
        job = _part({"code": code, "tests": asked, "limits": limits}) + _part(expected)
        try:
            done = subprocess.run(  # noqa: S603 - the command is this module's
                command,
                input=job,
                capture_output=True,
                timeout=_START_SECONDS + most * len(tests),
                cwd=directory,
                env={"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return None, str(error)
        said = done.stdout.decode(errors="replace").split()
        if said[:1] != ["ready"]:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            return None, lines[-1] if lines else f"exit status {done.returncode}"
        found = [each == "1" for each in said[1:]]
        # Code that ended the process that judges it has not passed the rest.
        return found + [False] * (len(tests) - len(found)), ""


def bubblewrap_fault() -> str | None:
    """Return why bubblewrap does not work here, None if it does; it is tried."""
    return _tried(Sandbox(cpu_seconds=1, memory_mb=256), _bubblewrap())


def _part(value: Any) -> bytes:
    """Return JSON after its size in 16 digits."""
    text = json.dumps(value).encode()
    return b"%016d" % len(text) + text


@cache
def _tried(sandbox: Sandbox, command: tuple[str, ...]) -> str | None:
    """Return why a command does not work here, even if its program is there; None if it works."""
    with tempfile.TemporaryDirectory() as directory:
        found, said = sandbox._run(command, "answer = 42", _TRIED, directory)
    return None if found == [True] else said or "its limits cannot be set"


def _program() -> tuple[str, ...]:
    """Return Python's arguments: the standard library alone, whatever is installed beside it."""
    return ("-s", "-S", "-c", _source())


@cache
def _source() -> str:
    return Path(__file__).with_name("inside.py").read_text(encoding="utf-8")


def _python() -> str:
    return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())


def _alone() -> tuple[str, ...]:
    return (_python(), *_program())


@cache
def _bubblewrap() -> tuple[str, ...]:
    """Return bubblewrap's command: everything unshared, Python's own files, an empty directory."""
    python, libraries = _python(), str(sysconfig.get_config_var("LIBDIR"))
    own = [python, *map(str, Path(libraries).glob("libpython*.so*"))]
    files = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", sysconfig.get_path("stdlib"), *own]
    devices = ("/dev/null", "/dev/urandom")
    variables = {"PYTHONHASHSEED": "0", "LD_LIBRARY_PATH": libraries, "HOME": _HOME}
    return (
        "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
        "--uid", _NOBODY, "--gid", _NOBODY, "--clearenv",
        *(part for item in variables.items() for part in ("--setenv", *item)),
        *(part for path in files for part in ("--ro-bind-try", path, path)),
        *(part for path in devices for part in ("--dev-bind", path, path)),
        "--size", str(SCRATCH_BYTES), "--tmpfs", _HOME, "--remount-ro", "/", "--chdir", _HOME,
        python, *_program(),
    )  # fmt: skip
