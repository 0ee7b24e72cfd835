"""Where the heavy steps of this run go: set once for the process, as a runner is.

It changes nothing that a step makes, so it is no node's input.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from persyn_kedro.foundations.settings.cluster import ClusterSettings

_current = ClusterSettings()


def current() -> ClusterSettings:
    """Return the settings in force: this machine's own processes, unless ``use`` said other."""
    return _current


def use(settings: ClusterSettings) -> None:
    """Put settings in force for this process."""
    global _current
    _current = settings


@contextmanager
def using(settings: ClusterSettings) -> Iterator[None]:
    """Put settings in force within a ``with`` block."""
    before = _current
    use(settings)
    try:
        yield
    finally:
        use(before)
