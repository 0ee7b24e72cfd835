"""What becomes of processes."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path

from persyn_kedro.foundations.processes import import_ahead
from persyn_kedro.foundations.settings.needs import Needs
from persyn_kedro.runs.preload import imports_of


def is_running(pid: int) -> bool:
    """Whether ``pid`` runs; an ended process that nobody has reaped yet (zombie) does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def import_what_a_run_does() -> None:
    """Have in-process tests start their models as a run does, from what has imported once."""
    import_ahead(imports_of(Needs.MODEL, "transformers"))


@contextmanager
def imported_ahead(needs: Needs) -> Iterator[None]:
    """In this block the models' processes are those of a run that ``needs`` it."""
    server = forkserver._forkserver
    server._stop()  # CPython's own, for tests: another file's may be running
    import_ahead(imports_of(needs, "transformers"))
    yield
    server._stop()
    import_what_a_run_does()
