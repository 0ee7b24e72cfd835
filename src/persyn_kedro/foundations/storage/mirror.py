"""Local copies of directories in an object store: fetched once, complete or absent.

Model loaders want a directory on a disk. A copy's path tells where it came from, so that another
node of a cluster, which lacks it, can fetch its own.
"""

import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.storage.cache import VERSION, finished
from persyn_kedro.foundations.storage.paths import Place, is_local, one_sentence_of, place

if TYPE_CHECKING:
    from upath import UPath

KIND = "remote"
INSIDE = "copy"
LONGEST = 200  # bytes per name; disks allow 255, and an unfinished copy's is longer


def local_copy(directory: Place) -> Path:
    """Return a directory on this machine's disk: the same, or a copy if it is remote."""
    if is_local(directory):
        return directory
    quoted = quote(str(directory), safe="")
    name = "/".join(quoted[i : i + LONGEST] for i in range(0, len(quoted), LONGEST))
    return finished(KIND, name, lambda building: _fetch(directory, building / INSIDE)) / INSIDE


def copy_here(path: Path) -> Path:
    """Return a directory that another machine had; fetch it if it is a missing copy.

    Raises:
        PersynError: it cannot be fetched here.
    """
    *above, last = path.parts
    if path.exists() or last != INSIDE or KIND not in above:
        return path
    after = len(above) - above[::-1].index(KIND)
    where = place(unquote("".join(above[after:]).removesuffix(f"-{VERSION}")))
    with one_sentence_of(where):
        return local_copy(where)


def not_here(path: Path) -> PersynError:
    """Return the error for a path, made or given to a run, that this node's disk lacks."""
    return PersynError(
        f"{path} does not exist on {socket.gethostname()}. (On a cluster of several machines, "
        "`data` must be a URL or on a disk that all nodes share at one path, as must `local` "
        "models.)"
    )


def send(source: Path, target: "UPath") -> None:
    """Copy a file, or a directory's files, into an object store."""
    files = [source] if source.is_file() else [p for p in source.rglob("*") if p.is_file()]
    for file in files:
        goal = target if file == source else target / file.relative_to(source).as_posix()
        # Not through open(): closing it would store the part that was written as an object.
        goal.fs.put_file(str(file), goal.path)


def copy_within(source: "UPath", target: "UPath", last: str) -> None:
    """Let an object store copy a directory's files, the one named ``last`` after all others."""
    for name in sorted(_files(source), key=lambda name: name == last):
        source.fs.copy((source / name).path, (target / name).path)


def _fetch(source: "UPath", target: Path) -> None:
    target.mkdir()
    names = _files(source)
    if not names:
        raise PersynError(f"{source} does not exist or is empty.")
    for name in names:
        goal = target / name
        goal.parent.mkdir(parents=True, exist_ok=True)
        source.fs.get_file((source / name).path, str(goal))


def _files(directory: "UPath") -> list[str]:
    """Return the names of a directory's files, relative to it."""
    found = [path for path in directory.rglob("*") if path.is_file()]
    return [str(path.relative_to(directory)) for path in found]
