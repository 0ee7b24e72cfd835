"""Files of the repository that every project shares: the catalog, the logging, the tour."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def shared_file(name: str) -> Path:
    """Return a file that setup.py puts into the wheel, by its path in the repository."""
    in_wheel = _PACKAGE / "shared" / name
    return in_wheel if in_wheel.is_file() else _PACKAGE.parents[1] / name
