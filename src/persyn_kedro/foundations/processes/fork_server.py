"""Start child processes; on Linux they are forked from a server that has imported everything once.

The server (``multiprocessing``'s) has imported the heavy libraries (``import_ahead``) and nothing
more: it has no model, no CUDA context, and one thread. (A child has none of its parent's other
threads, only the locks and state that they left behind.) On other systems each child is spawned.
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

# Forking after Apple's libraries are loaded is unsafe.
METHOD = "forkserver" if sys.platform == "linux" else "spawn"
# Defaults for the children; what the user exported wins.
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    # TRL reports each training to the hub from a thread, whose look-up of the host has killed the
    # training by SIGSEGV.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "VLLM_CONFIGURE_LOGGING": "0",
    "VLLM_NO_USAGE_STATS": "1",
}
# For the server alone, whatever the user exported: libraries that would start threads on import.
# Arrow does not use its jemalloc by default; NumExpr comes with pandas if something else has
# installed it. (OpenBLAS ends its threads before a fork; each child starts its own.)
SERVER = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "NUMEXPR_NUM_THREADS": "1",
    "PYTHONFAULTHANDLER": "1",  # for faults on import, before a child sets up its own
}
TRIES = 20
_starting = threading.Lock()  # several threads may start children
_known: set[str] = set()  # names in the server's environment at its start


def import_ahead(modules: Iterable[str]) -> None:
    """Import ``modules`` once, in the process from which all children are forked.

    That process starts with the first child; later calls change nothing. No module of this package
    may be among them: the server does not know the parent's ``sys.path`` and might find another
    copy.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))


def start_process(
    target: Callable[..., None], args: tuple[Any, ...], env: Mapping[str, str], main: bool
) -> BaseProcess:
    """Start ``target(environment, *args)`` as a process; ``env`` is added to its environment.

    ``main``: whether it needs the parent's main module. If that is Kedro's command, Kedro is
    imported, with everything it imports: Flask, for example, with which vLLM cannot start on a CPU.

    A library that fails to be imported ahead breaks only the step that needs it: the server is
    then restarted without any.
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
                log.warning("A library could not be imported ahead; each step now imports its own.")
            elif attempt == TRIES - 1:
                raise
            import_ahead([])
            time.sleep(0.1)  # the broken server is still ending
    raise AssertionError


@contextmanager
def _without_main() -> Iterator[None]:
    """Start children that do not first import the parent's main module: an empty one stands in.

    The real module keeps its names: Ray looks at its file too.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class Environment:
    """A child's environment variables: its parent's, and those that imports ahead have set."""

    def __init__(self, variables: Mapping[str, str], known: frozenset[str]) -> None:
        self._variables, self._known = dict(variables), known

    def apply(self) -> None:
        """Apply them to this process. Libraries set some on import, such as vLLM for CUDA: those,
        unknown to the server at its start, stay unless the parent has them."""
        for name in os.environ.keys() & self._known - self._variables.keys():
            del os.environ[name]
        os.environ.update(self._variables)


def _start_server() -> None:
    """Start the server that forks, if it is not running: it ignores Ctrl-C, and is quiet.

    Its parent stops it. A Ctrl-C that arrives meanwhile is kept for the parent.
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
