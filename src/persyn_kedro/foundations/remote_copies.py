"""Local copies of directories that are kept in an object store: fetched once, whole or not there.

What loads models wants a directory on a disk. A copy's path tells where it came from, so that
another node of a cluster, which lacks it, can fetch its own.
"""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from persyn_kedro.foundations.model_cache import VERSION, finished
from persyn_kedro.foundations.places import Place, is_local, place

if TYPE_CHECKING:
    from upath import UPath

KIND = "remote"
INSIDE = "copy"


def local_copy(directory: Place) -> Path:
    """Return a directory on this machine's disk: the same, or a copy of what never changes."""
    if is_local(directory):
        return directory
    name = quote(str(directory), safe="")
    return finished(KIND, name, lambda building: _fetch(directory, building / INSIDE)) / INSIDE


def copy_here(path: Path) -> Path:
    """Return a directory that another machine had, fetched where it was a copy and is missing."""
    if path.exists() or path.name != INSIDE or path.parent.parent.name != KIND:
        return path
    return local_copy(place(unquote(path.parent.name.removesuffix(f"-{VERSION}"))))


def send(source: Path, target: "UPath") -> None:
    """Copy a file, or a directory's files, into an object store."""
    files = [source] if source.is_file() else [p for p in source.rglob("*") if p.is_file()]
    for file in files:
        goal = target if file == source else target / file.relative_to(source).as_posix()
        # Not through open(): its close would leave the half that was written as an object.
        goal.fs.put_file(str(file), goal.path)


def copy_within(source: "UPath", target: "UPath", last: str) -> None:
    """Have an object store copy a directory's files, the one named ``last`` after all others."""
    for name in sorted(_files(source), key=lambda name: name == last):
        source.fs.copy((source / name).path, (target / name).path)


def _fetch(source: "UPath", target: Path) -> None:
    target.mkdir()
    for name in _files(source):
        goal = target / name
        goal.parent.mkdir(parents=True, exist_ok=True)
        source.fs.get_file((source / name).path, str(goal))


def _files(directory: "UPath") -> list[str]:
    """Return the names of a directory's files, from it on."""
    found = [path for path in directory.rglob("*") if path.is_file()]
    return [str(path.relative_to(directory)) for path in found]
