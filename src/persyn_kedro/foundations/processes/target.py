"""Where the heavy steps of this run are computed: set once per process, like a runner.

It does not change any result, so it is not an input of a node.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from persyn_kedro.foundations.settings.cluster import ClusterSettings

_current = ClusterSettings()


def current() -> ClusterSettings:
    """Return the settings in force; by default, processes on this machine."""
    return _current


def use(settings: ClusterSettings) -> None:
    """Apply settings to this process."""
    global _current
    _current = settings


@contextmanager
def using(settings: ClusterSettings) -> Iterator[None]:
    """Apply settings within a ``with`` block."""
    before = _current
    use(settings)
    try:
        yield
    finally:
        use(before)
