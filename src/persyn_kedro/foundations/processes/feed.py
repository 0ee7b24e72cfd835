"""Items sent to a process in groups, as it consumes them."""

import queue
import threading
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

AT_ONCE = 256  # items; the next group is on its way while this one is consumed


class Feed(Iterator[Any]):
    """The receiving end. A thread takes what arrives, so that the sender never waits for long.

    Otherwise it could wait in ``send`` for a process that itself waits in ``send``.
    """

    def __init__(self, receive: Callable[[], list[Any]], ask: Callable[[], None]) -> None:
        """``ask`` makes the other end send the next items, ``receive`` waits for them.

        An empty list means that there are no more.
        """
        self._receive, self._ask = receive, ask
        self._blocks: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()
        self._items: Iterator[Any] = iter(())
        self.begin()

    def begin(self) -> None:
        """Ask for the first items, also of another feed once this one has ``ended``."""
        self.ended = False
        threading.Thread(target=self._take, daemon=True).start()
        self._ask()

    def wait(self) -> None:
        """Wait until there is an item, or there are no more."""
        for item in self:
            self._items = chain([item], self._items)
            return

    def __next__(self) -> Any:
        for item in self._items:
            return item
        block = [] if self.ended else self._blocks.get()
        if isinstance(block, Exception):
            raise block
        if not block:
            self.ended = True
            raise StopIteration
        self._items = iter(block)
        self._ask()
        return next(self._items)

    def _take(self) -> None:
        while True:
            try:
                block = self._receive()
            except Exception as error:  # otherwise the consumer would wait forever
                self._blocks.put(error)
                return
            self._blocks.put(block)
            if not block:
                return
