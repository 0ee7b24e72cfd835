"""Run a generator function in its own process, so that all its memory is returned afterwards."""

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
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import IO, Any, TypeVar

from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError, full_disk
from persyn_kedro.foundations.processes.fault_traces import (
    open_faults,
    read_faults,
    write_faults_to,
)
from persyn_kedro.foundations.processes.feed import AT_ONCE, Feed
from persyn_kedro.foundations.processes.fork_server import METHOD, Environment, start_process
from persyn_kedro.foundations.processes.pickled import pickled

T = TypeVar("T")

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 10.0
LOOK_SECONDS = 0.5

_stopping: ContextVar[threading.Event | None] = ContextVar("stopping", default=None)


class Ended(Exception):
    """The work was stopped (``stop_with``)."""


def stop_with(event: threading.Event) -> None:
    """Stop this thread's children, with ``Ended``, once the event is set."""
    _stopping.set(event)


def check_stopped() -> None:
    """Raise ``Ended`` if this thread's work was stopped."""
    stopping = _stopping.get()
    if stopping is not None and stopping.is_set():
        raise Ended("stopped")


def run_in_child(
    function: Callable[..., Iterator[T]],
    *args: Any,
    label: str,
    env: Mapping[str, str] | None = None,
    feed: Iterable[Any] | None = None,
) -> Generator[T, None, None]:
    """Yield the items of ``function(*args)``, a module-level generator function, as they come.

    With a ``feed``, the function gets an iterator over its items before ``args``: they are sent in
    groups, as the function consumes them.

    The child has this process's environment and ``env``, which is set before the function's module
    is imported (but after the imports of ``import_ahead``). The child ends when this generator
    ends, for any reason, and with the parent. Wrap the generator in ``contextlib.closing`` if it
    may not be exhausted.

    Raises:
        Ended: the thread was stopped.
        PersynError: the child's own error, or the child died.
        RuntimeError: any other exception in the child, with its traceback.
    """
    child = start_child(function, args, env or {}, label, fed=feed is not None)
    stop = child.stop
    atexit.register(stop)
    peak = 0
    items = iter(feed or ())
    try:
        del args  # the child has them
        while True:
            kind, payload, peak = child.receive()
            if kind == "item":
                yield payload
            elif kind == "more":
                _feed(child.pipe, list(islice(items, AT_ONCE)))
            elif kind == "progress":
                progress.hear(payload, child.process.pid)
            else:
                child.process.join(STOP_SECONDS)
                return _check_end(kind, payload, label)
    finally:
        pid = child.process.pid
        stop()
        atexit.unregister(stop)
        child.close()
        progress.forget(pid)
        log.info("%s: process %s ended, peak memory %.2f GiB", label, pid, peak / 2**30)


def call_in_child(function: Callable[..., T], *args: Any, label: str) -> T:
    """Return what ``function(*args)``, a module-level function, returns in a process of its own.

    Raises:
        PersynError: its own error, or the process died.
        RuntimeError: any other exception in it, with its traceback.
    """
    child = run_in_child(_called, function, args, label=label)
    del args  # the child has them
    (found,) = child
    return found


def _called(function: Callable[..., T], args: tuple[Any, ...]) -> Iterator[T]:
    yield function(*args)


def _feed(receiver: Connection, items: list[Any]) -> None:
    with suppress(OSError):  # the child died: receive() reports it next
        receiver.send(items)


def _check_end(kind: str, payload: Any, label: str) -> None:
    """Raise the child's last message, unless it finished."""
    if kind == "refused":
        raise PersynError.unpacked(payload)
    if kind == "failed":
        raise RuntimeError(f"{label} failed in its process:\n{payload}")


@dataclass(frozen=True)
class Child:
    """A child process as its parent sees it.

    Attributes:
        pipe: its messages, and the way to feed it.
        faults: what it writes if a fault kills it (``fault_traces``).
        label: its name in messages.
    """

    process: BaseProcess
    pipe: Connection
    faults: IO[bytes]
    label: str

    def receive(self) -> tuple[str, Any, int]:
        """Return the child's next message: ``(kind, payload, peak memory in bytes)``.

        ``kind`` is item, more (of its feed is wanted), progress, end, refused (packed) or
        failed (a traceback).

        Raises:
            Ended: this thread was stopped.
            PersynError: the child died; after a fault, its tracebacks follow the sentence.
        """
        stopping = _stopping.get()
        try:
            while stopping is not None and not self.pipe.poll(LOOK_SECONDS):
                check_stopped()
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(STOP_SECONDS)
            told = f"{self.label}: its process {_ending(self.process.exitcode)}."
            raise PersynError(f"{told}\n{read_faults(self.faults)}".strip()) from None

    def stop(self) -> None:
        """End it, if need be by force. May be called twice, or before it was started."""
        if self.process.pid is None:
            return
        for force in (self.process.terminate, self.process.kill):
            if self.process.is_alive():
                force()
                self.process.join(STOP_SECONDS)

    def close(self) -> None:
        """Ignore its messages from now on."""
        self.pipe.close()
        self.faults.close()


def start_child(
    function: Callable[..., Iterator[Any]],
    args: tuple[Any, ...],
    env: Mapping[str, str],
    label: str,
    fed: bool = False,
) -> Child:
    """Start a child that runs ``function(*args)``."""
    receiver, sender = multiprocessing.get_context(METHOD).Pipe(duplex=fed)
    faults, writer = open_faults()
    work, of_main = pickled((function, args, fed))
    process = start_process(_serve, (sender, writer, work), env, main=of_main)
    sender.close()
    writer.close()
    return Child(process, receiver, faults, label)


def _ending(exit_code: int | None) -> str:
    if exit_code is None:
        return "closed its pipe but has not exited"
    if exit_code >= 0:
        return f"died with exit code {exit_code}"
    hint = ", often for lack of memory" if exit_code == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-exit_code).name} (exit code {exit_code}){hint}"


class _Teller:
    """The child's end of the pipe: one thread writes at a time."""

    def __init__(self, sender: Connection) -> None:
        self._sender, self._lock = sender, threading.Lock()

    def say(self, kind: str, payload: Any = None) -> None:
        with self._lock:
            self._sender.send((kind, payload, _peak_memory()))


def _serve(environment: Environment, sender: Connection, faults: Connection, work: bytes) -> None:
    """Be the child: send ``(kind, payload, peak memory in bytes)`` for each item and the end."""
    write_faults_to(faults)
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the parent stops us
    signal.signal(signal.SIGTERM, _leave)
    environment.apply()
    teller = _Teller(sender)
    progress.tell_parent(partial(teller.say, "progress"))
    try:
        function, args, fed = pickle.loads(work)  # noqa: S301 - from our own parent
        del work
        if fed:
            args = (Feed(sender.recv, partial(teller.say, "more")), *args)
        for item in function(*args):
            teller.say("item", item)
        message: tuple[str, str | None] = ("end", None)
    except PersynError as error:
        message = ("refused", error.packed())
    except Exception as error:
        sentence = full_disk(error)
        message = (
            ("refused", PersynError(sentence).packed())
            if sentence
            else ("failed", traceback.format_exc())
        )
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing is left to close: end silently
    teller.say(*message)
    sender.close()


def _leave(*_: Any) -> None:
    """Turn a signal into an exception, so that generators close."""
    progress.mute()
    sys.exit(0)


def _die_with_parent() -> None:
    """End with the parent: a thread waits for it. On Linux the server's end kills this process too.

    That does not suffice: the server does not end with the parent while a child lives.
    """
    guardian = multiprocessing.parent_process()
    assert guardian is not None  # noqa: S101 - this is a child
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    def watch() -> None:
        guardian.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _peak_memory() -> int:
    """Return this process's largest resident size so far, in bytes (0 if unknown).

    Linux's getrusage also counts the parent's memory at the fork, so /proc is read first.
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
