"""Which files a prompt source names: one file, those of a directory, or matches of a glob."""

import glob
import hashlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from persyn_kedro.foundations.storage.paths import Place, is_local, is_there, one_sentence_of, place

KINDS = (".jsonl", ".json", ".csv", ".parquet")
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_MAGIC = set("*?[")


class PromptFile(NamedTuple):
    """A file and its name: its path relative to the directory or the glob's fixed part."""

    place: Place
    name: str


def kind_of(name: str) -> tuple[str, str | None] | None:
    """Return the kind (one of ``KINDS``) and pyarrow's name of the compression, or None."""
    path = PurePosixPath(name)
    compression = COMPRESSIONS.get(path.suffix.lower())
    kind = PurePosixPath(path.stem).suffix if compression else path.suffix
    return (kind.lower(), compression) if kind.lower() in KINDS else None


def prompt_files(file: str) -> list[PromptFile]:
    """Return the files that a path or URL names, sorted by name; none if nothing is there.

    A single file is taken whatever its kind. In a directory (searched recursively) or a glob,
    files or directories whose names begin with ``.`` or ``_``, such as ``_SUCCESS``, are skipped.

    Raises:
        PersynError: an object store does not answer.
    """
    path, asked = place(file), False
    if is_there(path):
        return [PromptFile(path, path.name)]
    with one_sentence_of(path):
        if path.is_dir():
            root, found = _within(path)
        elif _MAGIC & set(file):
            root, found = _matching(path)
            asked = _hidden(str(path if is_local(path) else path.path)[len(root) :])
        else:
            return []
    named = [(at[len(root) :].lstrip("/"), at) for at in found]
    kept = sorted((name, at) for name, at in named if asked or not _hidden(name))
    return [PromptFile(_place_at(path, at), name) for name, at in kept]


def files_content(file: str) -> str | None:
    """Return a SHA-256 of the content: of a single file, or of several files' names and contents.

    None if there are none.
    """
    files = prompt_files(file)
    if not files:
        return None
    if is_there(place(file)):
        return _digest(files[0].place)
    lines = "".join(f"{name}\0{_digest(at)}\n" for at, name in files)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in PurePosixPath(name).parts)


def _within(directory: Place) -> tuple[str, list[str]]:
    if is_local(directory):
        return str(directory), [str(at) for at in directory.rglob("*") if at.is_file()]
    root = directory.path.rstrip("/")
    return root, [at for at in directory.fs.find(root) if not at.endswith("/")]


def _matching(pattern: Place) -> tuple[str, list[str]]:
    if is_local(pattern):
        paths = glob.glob(str(pattern), recursive=True)
        return _fixed(str(pattern)), [at for at in paths if Path(at).is_file()]
    found = pattern.fs.glob(pattern.path, detail=True)
    return _fixed(pattern.path), [at for at, info in found.items() if info["type"] == "file"]


def _fixed(pattern: str) -> str:
    """Return a glob's directories up to the first special character."""
    start = min(pattern.index(sign) for sign in _MAGIC if sign in pattern)
    return pattern[: pattern.rfind("/", 0, start) + 1]


def _place_at(like: Place, path: str) -> Place:
    if is_local(like):
        return Path(path)
    return place(f"{str(like).partition('://')[0]}://{path.lstrip('/')}")


def _digest(path: Place) -> str:
    digest = hashlib.sha256()
    with one_sentence_of(path), path.open("rb") as data:  # a copy may keep size and time
        while block := data.read(2**20):
            digest.update(block)
    return digest.hexdigest()
