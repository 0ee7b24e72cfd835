"""Limit the requests in flight: lower the limit after a refusal, then slowly raise it again."""

import threading
import time
from collections.abc import Callable


class AdaptiveLimit:
    """Additive increase, multiplicative decrease (AIMD), as in TCP.

    A refusal halves the limit and delays new requests for as long as the server asked. Every
    ``limit`` successes in a row raise it by one, up to ``maximum``.
    """

    def __init__(self, maximum: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.maximum = maximum
        self.limit = maximum
        self._clock = clock
        self._running = 0
        self._successes = 0
        self._not_before = 0.0
        self._changed = threading.Condition()

    def acquire(self, stop: threading.Event) -> bool:
        """Wait for a free slot; return False if ``stop`` is set in the meantime."""
        with self._changed:
            while not stop.is_set():
                wait = self._not_before - self._clock()
                if wait <= 0 and self._running < self.limit:
                    self._running += 1
                    return True
                self._changed.wait(min(max(wait, 0.05), 0.5))
            return False

    def release(self) -> None:
        """Free the slot."""
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def refused(self, retry_after: float) -> None:
        """Halve the limit and delay new requests for ``retry_after`` seconds."""
        with self._changed:
            self.limit = max(1, self.limit // 2)
            self._successes = 0
            self._not_before = max(self._not_before, self._clock() + retry_after)

    def succeeded(self) -> None:
        """Count a success; enough of them raise the limit."""
        with self._changed:
            self._successes += 1
            if self._successes >= self.limit and self.limit < self.maximum:
                self.limit += 1
                self._successes = 0
                self._changed.notify_all()
