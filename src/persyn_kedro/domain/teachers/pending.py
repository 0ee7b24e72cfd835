"""Which calls of one model are not answered yet."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.teachers.requests import Call, TeacherRequests


class PendingCalls:
    """One model's calls, found by their keys: 25 bytes a call, for millions of them.

    Each is looked up by the first 64 bits of its key, which is a hash.
    """

    def __init__(self, group: Sequence[TeacherRequests]) -> None:
        self._group = list(group)
        self._starts = np.cumsum([0, *(len(each.missing) for each in group)])
        heads = np.concatenate([np.empty(0, np.uint64), *(_heads(r.missing_keys) for r in group)])
        self._order = np.argsort(heads, kind="stable")
        self._heads = heads[self._order]
        self._open = np.ones(len(heads), bool)

    def __len__(self) -> int:
        """Return how many there are in all, answered or not."""
        return len(self._open)

    def take(self, key: str) -> Call | None:
        """Return an answer's call, which is then no longer open; None if it was not.

        Raises:
            KeyError: it is none of the calls.
        """
        number, call = self._find(key)
        was_open = self._open[number]
        self._open[number] = False
        return call if was_open else None

    def of(self, key: str) -> Call:
        """Return an answer's call, whether or not it is open.

        Raises:
            KeyError: it is none of the calls.
        """
        return self._find(key)[1]

    def _find(self, key: str) -> tuple[int, Call]:
        head = _head(key)
        place = int(np.searchsorted(self._heads, head))
        while place < len(self._heads) and self._heads[place] == head:
            number = int(self._order[place])
            call = self._call(number)
            if call.key == key:
                return number, call
            place += 1
        raise KeyError(key)

    @property
    def left(self) -> int:
        """How many are open."""
        return int(self._open.sum())

    def calls(self) -> Iterator[Call]:
        """Yield those that are open."""
        return (self._call(number) for number in np.flatnonzero(self._open).tolist())

    def _call(self, number: int) -> Call:
        place = int(np.searchsorted(self._starts, number, side="right")) - 1
        return self._group[place].call(number - int(self._starts[place]))


def _heads(keys: pa.Array) -> np.ndarray:
    return np.fromiter(map(_head, keys.to_pylist()), np.uint64, len(keys))


def _head(key: str) -> np.uint64:
    return np.uint64(int(key[:16], 16))
