"""Limit the requests in flight: lower the limit after a refusal, then slowly raise it again."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable

LOOK_SECONDS = 0.1  # between looks at ``stop`` while sleeping


class AdaptiveLimit:
    """Additive increase, multiplicative decrease (AIMD), as in TCP, for one event loop's tasks.

    A refusal delays new requests for as long as the server asked, and halves the limit, once per
    burst: those of requests sent before the last decrease tell nothing about the limit after it.
    Every ``limit`` successes in a row raise it by one, up to ``maximum``.
    """

    def __init__(self, maximum: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.maximum = maximum
        self.limit = maximum
        self._clock = clock
        self._decreases = 0
        self._running = 0
        self._successes = 0
        self._not_before = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self, stop: threading.Event) -> int | None:
        """Wait for a free slot, and return the number of decreases so far, for ``refused``.

        None if ``stop`` is set in the meantime.
        """
        while not stop.is_set():
            wait = self._not_before - self._clock()
            if wait > 0:
                await asyncio.sleep(min(wait, LOOK_SECONDS))
            elif self._running < self.limit:
                self._running += 1
                return self._decreases
            else:
                turn = asyncio.get_running_loop().create_future()
                self._waiting.append(turn)
                await turn
        self._wake()  # the next one has to stop too
        return None

    def release(self) -> None:
        """Free the slot."""
        self._running -= 1
        if self._running < self.limit:
            self._wake()

    def refused(self, retry_after: float, sent: int) -> bool:
        """Delay new requests for ``retry_after`` seconds, and halve the limit once per burst.

        Args:
            sent: what ``acquire`` returned for the refused request.

        Returns:
            Whether the request was the first of its burst to be refused.
        """
        self._not_before = max(self._not_before, self._clock() + retry_after)
        if sent < self._decreases:
            return False
        self.limit = max(1, self.limit // 2)
        self._decreases += 1
        self._successes = 0
        return True

    def succeeded(self) -> None:
        """Count a success; enough of them raise the limit."""
        self._successes += 1
        if self._successes >= self.limit and self.limit < self.maximum:
            self.limit += 1
            self._successes = 0
            self._wake()

    def _wake(self) -> None:
        """Let one waiting task check again."""
        if self._waiting:
            self._waiting.popleft().set_result(None)


async def pause(seconds: float, stop: threading.Event) -> None:
    """Sleep until ``stop`` is set, at most ``seconds``."""
    end = time.monotonic() + seconds
    while not stop.is_set() and (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(left, LOOK_SECONDS))
