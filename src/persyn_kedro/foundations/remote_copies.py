"""Local copies of directories that are kept in an object store: fetched once, whole or not there.

What loads models wants a directory on a disk. A copy's path tells where it came from, so that
another node of a cluster, which lacks it, can fetch its own.
"""

from pathlib import Path
from urllib.parse import quote, unquote

from persyn_kedro.foundations.model_cache import VERSION, finished
from persyn_kedro.foundations.places import Place, is_local, place

KIND = "remote"
INSIDE = "copy"


def local_copy(directory: Place) -> Path:
    """Return a directory on this machine's disk: the same, or a copy of what never changes."""
    if is_local(directory):
        return directory  # type: ignore[return-value]
    name = quote(str(directory), safe="")
    return finished(KIND, name, lambda building: _fetch(directory, building / INSIDE)) / INSIDE


def copy_here(path: Path) -> Path:
    """Return a directory that another machine had, fetched where it was a copy and is missing."""
    if path.exists() or path.name != INSIDE or path.parent.parent.name != KIND:
        return path
    return local_copy(place(unquote(path.parent.name.removesuffix(f"-{VERSION}"))))


def send(source: Path, target: Place) -> None:
    """Copy a file, or a directory's files, into an object store."""
    files = [source] if source.is_file() else [p for p in source.rglob("*") if p.is_file()]
    for file in files:
        goal = target if file == source else target / file.relative_to(source).as_posix()
        # Not through open(): its close would leave the half that was written as an object.
        goal.fs.put_file(str(file), goal.path)  # type: ignore[union-attr]


def copy_within(source: Place, target: Place, last: str) -> None:
    """Have an object store copy a directory's files, the one named ``last`` after all others."""
    files = [file for file in source.rglob("*") if file.is_file()]
    for file in sorted(files, key=lambda file: file == source / last):
        goal = target / str(file.relative_to(source))  # type: ignore[arg-type]
        source.fs.copy(file.path, goal.path)  # type: ignore[union-attr]


def _fetch(source: Place, target: Path) -> None:
    target.mkdir()
    for file in source.rglob("*"):
        if file.is_file():
            goal = target / str(file.relative_to(source))  # type: ignore[arg-type]
            goal.parent.mkdir(parents=True, exist_ok=True)
            source.fs.get_file(file.path, str(goal))  # type: ignore[union-attr]
