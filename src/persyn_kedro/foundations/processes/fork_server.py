"""Start child processes; on Linux they are forked from one server that has imported once for all.

The server (``multiprocessing``'s) has imported the heavy libraries (``import_ahead``) and done
nothing else: it has no model, no CUDA context, and one thread. A child would have none of the
others, but whatever they held or had half done. Elsewhere each child is spawned.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

log = logging.getLogger(__name__)

# Forking after Apple's libraries were loaded is not safe.
METHOD = "forkserver" if sys.platform == "linux" else "spawn"
# Defaults of the children; what the user exported stays.
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "VLLM_CONFIGURE_LOGGING": "0",
    "VLLM_NO_USAGE_STATS": "1",
}
# The server's alone, whatever the user exported: libraries that would start threads as they are
# imported. Arrow does not use its jemalloc by default; NumExpr comes with pandas where something
# else has installed it. (OpenBLAS ends its threads before a fork; each child starts its own.)
SERVER = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "NUMEXPR_NUM_THREADS": "1",
    "PYTHONFAULTHANDLER": "1",  # for faults in an import, and before a child has set its own up
}
TRIES = 20
_starting = threading.Lock()  # children may be started by several threads
_known: set[str] = set()  # names in the environment that the server was started with


def import_ahead(modules: Iterable[str]) -> None:
    """Have ``modules`` imported once, in the process from which all children are forked.

    It starts with the first child; later calls change nothing. No module of this package may be
    among them: the server does not know the parent's ``sys.path``, so it might find another copy.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))


def start_process(
    target: Callable[..., None], args: tuple[Any, ...], env: Mapping[str, str], main: bool
) -> BaseProcess:
    """Start ``target(environment, *args)`` as a process; ``env`` is added to its environment.

    ``main``: whether it needs the parent's main module. If that is Kedro's command, Kedro comes
    with it, and all that Kedro imports: Flask, where it is installed, with which vLLM cannot start
    on a CPU.

    A library that breaks as it is imported ahead breaks the step that needs it, no other: the
    server is then started again without any.
    """
    with _starting:
        with nullcontext() if main else _without_main():
            return _start(target, args, env)


def _start(
    target: Callable[..., None], args: tuple[Any, ...], env: Mapping[str, str]
) -> BaseProcess:
    context = multiprocessing.get_context(METHOD)
    for attempt in range(TRIES):
        if METHOD == "forkserver":
            _start_server()
        environment = Environment({**QUIET, **os.environ, **env}, frozenset(_known))
        process: BaseProcess = context.Process(  # type: ignore[attr-defined]
            target=target, args=(environment, *args)
        )
        try:
            process.start()
            return process
        except (EOFError, ConnectionError):
            if attempt == 0:
                log.warning("A library could not be imported ahead: each step imports its own.")
            elif attempt == TRIES - 1:
                raise
            import_ahead([])
            time.sleep(0.1)  # the broken server is still ending
    raise AssertionError


@contextmanager
def _without_main() -> Iterator[None]:
    """Start children that do not import the parent's main module first: an empty one stands in.

    Its own names stay as they are: Ray, too, looks at its file.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class Environment:
    """The variables that a child is to have: its parent's, with what imports ahead have added."""

    def __init__(self, variables: Mapping[str, str], known: frozenset[str]) -> None:
        self._variables, self._known = dict(variables), known

    def apply(self) -> None:
        """Make them this process's. Libraries set some as they are imported, vLLM for CUDA's sake:
        those, which the server had not at its start, stay unless the parent has them."""
        for name in os.environ.keys() & self._known - self._variables.keys():
            del os.environ[name]
        os.environ.update(self._variables)


def _start_server() -> None:
    """Start the server that forks, if it is not there: deaf to Ctrl-C, with quiet libraries.

    Its parent stops it. A Ctrl-C that comes in these moments is kept for the parent.
    """
    before = dict(os.environ)
    main = threading.current_thread() is threading.main_thread()
    if main:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update({**QUIET, **before, **SERVER})
    try:
        _known.update(os.environ)
        forkserver.ensure_running()
    finally:
        for name in (QUIET.keys() | SERVER.keys()) - before.keys():
            del os.environ[name]
        os.environ.update({name: before[name] for name in SERVER.keys() & before.keys()})
        if main:
            signal.signal(signal.SIGINT, old)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
