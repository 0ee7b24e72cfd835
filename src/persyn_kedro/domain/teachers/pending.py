"""Track which of one model's calls are not answered yet."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.teachers.requests import Call, TeacherRequests, in_blocks


class PendingCalls:
    """One model's calls by key, in 25 bytes per call, as there may be millions.

    Calls are looked up by the first 64 bits of their keys, which are hashes.
    """

    def __init__(self, group: Sequence[TeacherRequests]) -> None:
        self._group = list(group)
        self._starts = list(accumulate((len(each.missing) for each in group), initial=0))
        heads = np.concatenate([np.empty(0, np.uint64), *(_heads(r.missing_keys) for r in group)])
        self._order = np.argsort(heads, kind="stable")
        self._heads = heads[self._order]
        self._open = np.ones(len(heads), bool)

    def __len__(self) -> int:
        """Return the number of calls, answered or not."""
        return len(self._open)

    def take(self, key: str) -> Call | None:
        """Mark the call with this key as answered and return it; None if it already was.

        Raises:
            KeyError: no call has this key.
        """
        number, call = self._find(key)
        was_open = self._open[number]
        self._open[number] = False
        return call if was_open else None

    def of(self, key: str) -> Call:
        """Return the call with this key, answered or not.

        Raises:
            KeyError: no call has this key.
        """
        return self._find(key)[1]

    def _find(self, key: str) -> tuple[int, Call]:
        head = _head(key)
        # Not numpy's search: it releases the GIL, and then waits for it.
        place = bisect_left(self._heads, head)
        while place < len(self._heads) and self._heads[place] == head:
            number = int(self._order[place])
            call = self._call(number)
            if call.key == key:
                return number, call
            place += 1
        raise KeyError(key)

    @property
    def left(self) -> int:
        """The number of calls not answered yet."""
        return int(self._open.sum())

    def calls(self) -> Iterator[Call]:
        """Yield the calls not answered yet."""
        return (self._call(number) for number in np.flatnonzero(self._open).tolist())

    def _call(self, number: int) -> Call:
        place = bisect_right(self._starts, number) - 1
        return self._group[place].call(number - self._starts[place])


def _heads(keys: pa.Array) -> np.ndarray:
    heads = map(_head, chain.from_iterable(in_blocks(keys)))
    return np.fromiter(heads, np.uint64, len(keys))


def _head(key: str) -> np.uint64:
    return np.uint64(int(key[:16], 16))
