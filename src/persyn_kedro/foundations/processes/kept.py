"""Child processes that stay, with the model that they have loaded, for later calls of a run.

They stay while ``keep_models`` permits it: as many of those used last as hold no more memory than
stays free. A process that waits is the first that the system kills if memory runs out; its model is
then loaded again.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes.child import log, run_in_child
from persyn_kedro.foundations.processes.feed import Feed
from persyn_kedro.foundations.processes.memory import free_bytes, own_bytes
from persyn_kedro.foundations.tables.memory import give_back

LOADING = 2  # while it is loaded, a model may need so many times the size of its files


class Loaded(Protocol):
    """What a child has loaded: it maps a feed's items to results, call after call."""

    def __call__(self, feed: Iterator[Any]) -> Iterable[Any]:
        """Return the results of one call; none may depend on an earlier call."""

    def rest(self) -> bool:
        """Release what only a call needs; return whether this can stay for another one."""

    def close(self) -> None:
        """End what it has started."""


def run_kept(
    make: Callable[..., Loaded],
    *args: Any,
    label: str,
    feed: Iterable[Any],
    key: tuple[Any, ...],
    env: Mapping[str, str] | None = None,
    size: int = 0,
) -> Generator[Any, None, None]:
    """Yield the items of ``make(*args)(feed)``, as ``run_in_child``; the child may stay.

    A child whose call is closed early, or fails, or leaves a part of its feed, ends.

    Args:
        key: a child that stays makes this call too if it was started with an equal one.
        size: of the files to load, in bytes: for it, models that are not in use make room.
    """
    resident = _keeper.take(key)
    if resident is not None:
        log.info("%s: still loaded", label)
        asked = _Remembered(iter(feed))
        try:
            yield from _call(resident, asked)
            return
        except (PersynError, RuntimeError) as error:
            if asked.items is None:
                raise
            # Nothing has come of it: the system may have ended the process while it waited.
            log.warning("%s: its process was lost: it is loaded again (%s)", label, error)
            feed = chain(asked.items, asked.rest)
    _keeper.make_room(LOADING * size)
    log.info("%s: loading", label)
    start = partial(run_in_child, _calls, make, args, _keeper.allows, label=label, env=env)
    yield from _call(_Resident(key, label, size, start), _Remembered(iter(feed)))


def _call(resident: "_Resident", feed: "_Remembered") -> Generator[Any, None, None]:
    """Yield what the child makes of the feed; it then ends, or waits for another call."""
    stays = False
    try:
        stays = yield from resident.call(feed)
    finally:
        if not stays:
            resident.end()
    if stays:
        _keeper.put(resident)


def is_kept(key: tuple[Any, ...]) -> bool:
    """Return whether a call with this key would find its model loaded."""
    return _keeper.has(key)


def keep_models(stay: bool) -> None:
    """Allow children to stay from now on, or end those that do and allow it no more."""
    _keeper.allow(stay)


@dataclass(frozen=True)
class _Done:
    """A child's last item of a call, when it stays."""

    memory: int


class _Remembered(Iterator[Any]):
    """A call's feed, and what was taken of it: ``items``, until the call has yielded something."""

    def __init__(self, rest: Iterator[Any]) -> None:
        self.rest = rest
        self.items: list[Any] | None = []

    def __next__(self) -> Any:
        try:
            item = next(self.rest)
        except StopIteration:
            raise
        except BaseException:  # its own: a second call would miss what is left
            self.items = None
            raise
        if self.items is not None:
            self.items.append(item)
        return item


class _Feed(Iterator[Any]):
    """The items of the current call; ``run_in_child`` gets it once and for all."""

    items: Iterator[Any] = iter(())

    def __next__(self) -> Any:
        return next(self.items)


class _Resident:
    """A child that may stay, as its parent sees it."""

    def __init__(
        self,
        key: tuple[Any, ...],
        label: str,
        size: int,
        start: Callable[..., Generator[Any, None, None]],
    ) -> None:
        self.key, self.label, self._size, self._feed = key, label, size, _Feed()
        self._items, self._memory = start(feed=self._feed), 0

    def call(self, feed: _Remembered) -> Generator[Any, None, bool]:
        """Yield a call's items; return whether the child waits for another one."""
        self._feed.items = feed
        try:
            for item in self._items:
                feed.items = None
                if isinstance(item, _Done):
                    self._memory = item.memory
                    return True
                yield item
            return False
        finally:
            self._feed.items = iter(())  # what the call was about may be large

    @property
    def memory(self) -> int:
        """What it holds: at least its files, which its own processes may share among them."""
        return max(self._memory, self._size)

    def end(self) -> None:
        self._items.close()


class _Keeper:
    """The children that stay, the one used last at the end."""

    def __init__(self) -> None:
        self.allows = False
        self._residents: list[_Resident] = []
        self._lock = threading.Lock()

    def has(self, key: tuple[Any, ...]) -> bool:
        with self._lock:
            return any(resident.key == key for resident in self._residents)

    def take(self, key: tuple[Any, ...]) -> _Resident | None:
        with self._lock:
            for resident in [each for each in self._residents if each.key == key]:
                self._residents.remove(resident)
                return resident
        return None

    def put(self, resident: _Resident) -> None:
        with self._lock:
            self._residents.append(resident)
            self._end_oldest_until(lambda free: self.allows and free >= max(1, self._memory()))
            if resident in self._residents:
                log.info("%s: stays loaded (%.2f GiB)", resident.label, resident.memory / 2**30)

    def make_room(self, size: int) -> None:
        with self._lock:
            self._end_oldest_until(lambda free: free >= size)

    def allow(self, stay: bool) -> None:
        with self._lock:
            self.allows = stay
            self._end_oldest_until(lambda free: stay)

    def _memory(self) -> int:
        return sum(resident.memory for resident in self._residents)

    def _end_oldest_until(self, enough: Callable[[int], bool]) -> None:
        while self._residents and not enough(free_bytes()):
            self._residents.pop(0).end()


_keeper = _Keeper()


def _calls(
    feed: Feed, make: Callable[..., Loaded], args: tuple[Any, ...], stay: bool
) -> Iterator[Any]:
    """Be the child: make a call, and others for as long as it may stay."""
    with closing(make(*args)) as loaded:
        while True:
            yield from loaded(feed)
            if not (stay and feed.ended and loaded.rest()):
                return
            give_back()
            _end_first(True)
            yield _Done(own_bytes())
            feed.begin()
            feed.wait()
            _end_first(False)


def _end_first(first: bool) -> None:
    """Have the system end this process before any other if memory runs out, or no longer so."""
    with suppress(OSError):  # only Linux knows it
        Path("/proc/self/oom_score_adj").write_text("1000" if first else _inherited)


def _own_score() -> str:
    try:
        return Path("/proc/self/oom_score_adj").read_text()
    except OSError:
        return "0"


_inherited = _own_score()
