"""Run a generator function in a process of its own, so that its memory is all returned after it.

On Linux the processes are forked from one server process, which has imported the heavy libraries
once (``import_ahead``) and done nothing else: it has no threads, no model, and no CUDA context.
"""

import atexit
import ctypes
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError, full_disk

T = TypeVar("T")

log = logging.getLogger(__name__)

# Defaults of the child; what the user exported stays.
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "VLLM_CONFIGURE_LOGGING": "0",
    "VLLM_NO_USAGE_STATS": "1",
}
PR_SET_PDEATHSIG = 1
STOP_SECONDS = 10.0
# Forking after Apple's libraries were loaded is not safe.
START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"


def import_ahead(modules: Iterable[str]) -> None:
    """Have ``modules`` imported once, in the process from which all children are forked.

    It starts with the first child; later calls change nothing. No module of this package may be
    among them: the server does not know the parent's ``sys.path``, so it might find another copy.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))


def run_in_child(
    function: Callable[..., Iterator[T]],
    *args: Any,
    label: str,
    env: Mapping[str, str] | None = None,
) -> Generator[T, None, None]:
    """Yield the items of ``function(*args)``, a module-level generator function, as they come.

    The child has this process's environment and ``env``, set before the function's module is
    imported (what ``import_ahead`` imported has not seen ``env``). The child ends with this
    generator, however that ends, and with the parent. Wrap it in ``contextlib.closing``
    where items may be left unread.

    Raises:
        PersynError: with the child's own sentence, or if the child died.
        RuntimeError: with the child's traceback, for any other exception in it.
    """
    context = multiprocessing.get_context(START_METHOD)
    receiver, sender = context.Pipe(duplex=False)
    work = pickle.dumps((function, args))
    environment = {**QUIET, **os.environ, **(env or {})}
    process: BaseProcess = context.Process(  # type: ignore[attr-defined]
        target=_serve, args=(sender, work, environment)
    )
    stop = partial(_stop, process)
    atexit.register(stop)
    peak = 0
    try:
        if START_METHOD == "forkserver":
            _start_server()
        process.start()
        del args, work  # the child has them
        sender.close()
        while True:
            kind, payload, peak = _receive(receiver, process, label)
            if kind == "end":
                process.join(STOP_SECONDS)
                return
            if kind == "refused":
                raise PersynError(payload)
            if kind == "failed":
                raise RuntimeError(f"{label} failed in its process:\n{payload}")
            if kind == "progress":
                progress.hear(payload)
            else:
                yield payload
    finally:
        pid = process.pid
        stop()
        atexit.unregister(stop)
        receiver.close()
        progress.forget(pid)
        log.info("%s: process %s ended, peak memory %.2f GiB", label, pid, peak / 2**30)


def _start_server() -> None:
    """Start the server that forks, if it is not there: deaf to Ctrl-C, with quiet libraries.

    Its parent stops it. A Ctrl-C that comes in these moments is kept for the parent.
    """
    added = {name: value for name, value in QUIET.items() if name not in os.environ}
    main = threading.current_thread() is threading.main_thread()
    if main:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(added)
    try:
        forkserver.ensure_running()
    finally:
        for name in added:
            del os.environ[name]
        if main:
            signal.signal(signal.SIGINT, old)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _receive(receiver: Connection, process: BaseProcess, label: str) -> tuple[str, Any, int]:
    try:
        return receiver.recv()
    except (EOFError, OSError):
        process.join(STOP_SECONDS)
        raise PersynError(f"{label}: its process {_ending(process.exitcode)}.") from None


def _ending(exit_code: int | None) -> str:
    if exit_code is None:
        return "closed its pipe and hangs"
    if exit_code >= 0:
        return f"died with exit code {exit_code}"
    hint = ", often for lack of memory" if exit_code == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-exit_code).name} (exit code {exit_code}){hint}"


def _stop(process: BaseProcess) -> None:
    """End the process, at worst by force. Safe to call twice, and before it was started."""
    if process.pid is None:
        return
    for force in (process.terminate, process.kill):
        if process.is_alive():
            force()
            process.join(STOP_SECONDS)


def _serve(sender: Connection, work: bytes, environment: dict[str, str]) -> None:
    """Be the child: send ``(kind, payload, peak memory in bytes)`` for each item and the end."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the parent stops us
    signal.signal(signal.SIGTERM, _leave)
    os.environ.clear()
    os.environ.update(environment)
    progress.tell_parent(lambda event: sender.send(("progress", event, _peak_memory())))
    try:
        function, args = pickle.loads(work)  # noqa: S301 - from our own parent
        del work
        for item in function(*args):
            sender.send(("item", item, _peak_memory()))
        message: tuple[str, str | None] = ("end", None)
    except PersynError as error:
        message = ("refused", str(error))
    except Exception as error:
        sentence = full_disk(error)
        message = ("refused", sentence) if sentence else ("failed", traceback.format_exc())
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing is left to close: end without a word
    sender.send((*message, _peak_memory()))
    sender.close()


def _leave(*_: Any) -> None:
    """End on a signal as an exception does, so that generators close."""
    progress.mute()
    sys.exit(0)


def _die_with_parent() -> None:
    """End with the parent: Linux kills this process with its server, which ends with the parent."""
    guardian = multiprocessing.parent_process()
    assert guardian is not None  # noqa: S101 - this is a child
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if not guardian.is_alive():
            os._exit(1)
        return

    def watch() -> None:
        guardian.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _peak_memory() -> int:
    """Return this process's largest resident size so far, in bytes (0 where unknown).

    Linux's getrusage also counts the parent's memory at the fork, so /proc comes first.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    except (OSError, ImportError):
        return 0
