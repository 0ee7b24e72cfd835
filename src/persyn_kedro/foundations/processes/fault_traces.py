"""Tracebacks of all threads of a process killed by a signal such as SIGSEGV, for its parent.

Python's ``faulthandler`` writes them, as the process dies, into an unnamed file.
"""

import faulthandler
import os
import tempfile
from multiprocessing.connection import Connection
from typing import IO


def open_faults() -> tuple[IO[bytes], Connection]:
    """Return the parent's end, for :func:`read_faults`, and the child's, to be sent to it."""
    file = tempfile.TemporaryFile(prefix="persyn-faults-")
    return file, Connection(os.dup(file.fileno()), readable=False)


def write_faults_to(child: Connection) -> None:
    """Let this process write its threads' tracebacks if a fault kills it."""
    faulthandler.enable(child)  # type: ignore[arg-type]  # it has a fileno and stays open


def read_faults(parent: IO[bytes]) -> str:
    """Return what a dead process wrote, "" if nothing.

    The end is cut off: a list of all extension modules, some hundreds.
    """
    parent.seek(0)
    written = parent.read().decode(errors="replace")
    return written.partition("\nExtension modules: ")[0].strip()
