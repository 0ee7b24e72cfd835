"""A thread with an event loop, which sends one model's requests and awaits all of them at once."""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from persyn_kedro.domain.engines.base import Generation, Request
from persyn_kedro.domain.engines.concurrency import AdaptiveLimit
from persyn_kedro.domain.engines.retries import Asker
from persyn_kedro.domain.engines.transport import Transport, allow_open_files
from persyn_kedro.foundations.settings.endpoint import EndpointSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

WAIT_SECONDS = 0.5


class AskingThread:
    """Works for another thread, its owner, which calls all public methods.

    Ctrl-C only reaches the main thread, so it interrupts no request in here.

    Attributes:
        asked: the number of requests whose answer the owner has not received yet.
        stop: set once no further request may be sent.
    """

    def __init__(self, model: "ResolvedModel", endpoint: EndpointSettings) -> None:
        """Raise a PersynError if the environment's proxy cannot be used."""
        self.asked, self.stop = 0, threading.Event()
        self._most = endpoint.max_concurrency
        self._transport, limit = Transport(endpoint), AdaptiveLimit(self._most)
        self._asker = Asker(model, endpoint, self._transport, limit, self.stop)
        self._requests: deque[Request] = deque()
        self._answers: queue.SimpleQueue[Generation | Exception | None] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()  # only changed in the loop
        self._ready, self._closing = threading.Event(), asyncio.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"ask {model.name}", daemon=True)

    def start(self) -> None:
        """Start the thread.

        Raises:
            Exception: why it cannot send requests, such as a missing file of certificates.
        """
        allow_open_files()
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed

    def ask(self, request: Request) -> None:
        """Queue a request. It is sent as soon as ``max_concurrency`` allows it: requests in flight
        and answers not yet yielded count, as both are lost if the process is killed."""
        self.asked += 1
        self._requests.append(request)
        if self._has_room():
            self._loop.call_soon_threadsafe(self._begin)

    def answers(self) -> Iterator[Generation]:
        """Yield all answers received; wait for one if there is none, at most ``WAIT_SECONDS``.

        Raises:
            Exception: what was raised in the thread.
        """
        wait = WAIT_SECONDS
        while True:
            try:
                answer = self._answers.get(wait > 0, wait)
            except queue.Empty:
                return
            self.asked -= 1
            if self._requests:
                self._loop.call_soon_threadsafe(self._begin)
            if isinstance(answer, Exception):
                raise answer
            if answer is not None:
                yield answer
            wait = 0.0

    def close(self) -> list[Generation]:
        """Send no more, wait for what is in flight, and return the answers not yet yielded."""
        self.stop.set()
        self._requests.clear()
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()
        left = [self._answers.get() for _ in range(self._answers.qsize())]
        return [answer for answer in left if isinstance(answer, Generation)]

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except Exception as error:
            self._failed = error
        finally:  # else ``start`` would wait for ever
            self._ready.set()

    async def _serve(self) -> None:
        async with self._transport:
            self._ready.set()
            await self._closing.wait()
            while self._tasks:
                await asyncio.wait(self._tasks)

    def _has_room(self) -> bool:
        return len(self._tasks) + self._answers.qsize() < self._most

    def _begin(self) -> None:
        while self._has_room():
            try:
                request = self._requests.popleft()
            except IndexError:  # also if ``close`` has just cleared it
                return
            task = self._loop.create_task(self._ask(request))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._begin()

    async def _ask(self, request: Request) -> None:
        try:
            self._answers.put(await self._asker.ask(request))
        except Exception as error:
            self._answers.put(error)
