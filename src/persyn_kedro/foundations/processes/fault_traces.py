"""Where each thread of a process was when a signal such as SIGSEGV killed it, told to its parent.

Python's ``faulthandler`` writes it, as the process dies, into a file without a name.
"""

import faulthandler
import os
import tempfile
from multiprocessing.connection import Connection
from typing import IO


def open_faults() -> tuple[IO[bytes], Connection]:
    """Return the parent's end, for :func:`read_faults`, and the child's, which is sent to it."""
    file = tempfile.TemporaryFile(prefix="persyn-faults-")
    return file, Connection(os.dup(file.fileno()), readable=False)


def write_faults_to(child: Connection) -> None:
    """Have this process write its threads' tracebacks if a fault kills it."""
    faulthandler.enable(child)  # type: ignore[arg-type]  # it has a fileno, and is kept open


def read_faults(parent: IO[bytes]) -> str:
    """Return what a process that has died wrote, "" if nothing.

    Left out is what ends it: a list of all extension modules, some hundreds.
    """
    parent.seek(0)
    written = parent.read().decode(errors="replace")
    return written.partition("\nExtension modules: ")[0].strip()
