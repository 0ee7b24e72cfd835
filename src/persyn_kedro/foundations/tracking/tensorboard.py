"""TensorBoard: event files on a local disk, a directory for each run and child run."""

import logging
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from persyn_kedro.foundations.progress import Part
from persyn_kedro.foundations.tracking.base import (
    Ending,
    Measurement,
    Tracker,
    as_markdown,
    name_of,
)

FLUSHED_EVERY = 10  # seconds until TensorBoard sees what was written

log = logging.getLogger(__name__)


class TensorboardTracker(Tracker[Any]):
    """Keeps no reports and tables: they are in `data` already."""

    def __init__(self) -> None:
        with suppress(Exception):  # begin() will say it
            _import_without_torch()

    def begin(self, part: Part, name: str, parameters: Mapping[str, str]) -> Any:
        from tensorboardX import SummaryWriter

        _watch_writers()
        own = self.run.directory / "tensorboard" / _file_name(self.run.name)
        where = own / _file_name(name_of(part)) if part else own
        writer = SummaryWriter(str(where), flush_secs=FLUSHED_EVERY)
        writer.add_text("parameters", as_markdown(parameters))
        return writer

    def measure(self, measurements: Sequence[Measurement]) -> None:
        for one in measurements:
            writer = self.handle(one.part)
            for name, value in one.values.items():
                writer.add_scalar(name, value, one.step or 0, walltime=one.time)

    def describe(self, facts: Mapping[str, str]) -> None:
        self.handle(()).add_text("run", as_markdown(facts))

    def attach(self, file: Path) -> None:
        """Do nothing: TensorBoard has no place for files."""

    def finish(self, ending: Ending) -> None:
        with ExitStack() as closing:  # each one, also if one cannot be
            for writer in self.handles():
                closing.callback(_close, writer)


def _import_without_torch() -> None:
    """Import tensorboardX, but not the torch that it imports only to know its tensors.

    That would take a second and 200 MB of each run. Meanwhile no thread can import torch: trackers
    are made before the run's first step.
    """
    if "torch" in sys.modules:
        return
    try:
        sys.modules["torch"] = None  # type: ignore[assignment]  # says that there is none
        import tensorboardX  # noqa: F401
    finally:
        sys.modules.pop("torch", None)


def _close(writer: Any) -> None:
    """Close a writer's files, once: they would be closed again at exit, with a traceback."""
    files = [*(writer.all_writers or {}).values()]
    try:
        writer.close()
    finally:
        for file in files:
            file.event_writer._closed = True


def _watch_writers() -> None:
    """Have what ends a writer's own thread, such as a full disk, told in one line."""
    before = threading.excepthook
    if getattr(before, "__module__", None) == __name__:
        return

    def told(args: threading.ExceptHookArgs) -> None:
        if type(args.thread).__module__.startswith("tensorboardX"):
            log.warning("TensorBoard's files end here, the run goes on: %s", args.exc_value)
        else:
            before(args)

    threading.excepthook = told


def _file_name(name: str) -> str:
    return re.sub(r"[^\w\-.,= ]", "_", name)
