"""A versioned dataset whose incomplete version can never be the latest."""

import hashlib
import json
import os
import shutil
from abc import abstractmethod
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kedro.io.core import AbstractVersionedDataset, Version, VersionNotFoundError

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.storage import (
    Place,
    copy_within,
    flush_directory,
    flush_tree,
    is_local,
    one_sentence_of,
    place,
    send,
)

if TYPE_CHECKING:
    from upath import UPath

RECORD_FILE = "made_by.json"


class AtomicVersionedDataset(AbstractVersionedDataset):
    """Writes ``<filepath>/.partial-<version>/<name>``, then renames it to ``<filepath>/<version>``.

    The rename is atomic, and Kedro does not see a hidden directory as a version: a killed save
    leaves no trace in ``exists()`` or in "latest". An object store (``filepath`` is an fsspec URL)
    cannot rename; there the record beside the data is written last, and makes it a version.

    Beside the data lies ``made_by.json``: the hash of the content, the number of rows that another
    run would ask for again (``unsettled``), and what a runner put into ``self.maker`` beforehand.
    """

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._root = place(filepath)
        if is_local(self._root):
            super().__init__(PurePosixPath(self._root), version)
        else:
            super().__init__(PurePosixPath(self._root.path), version, self._is_whole)
        self._records: dict[str, dict[str, Any]] = {}  # in an object store; they never change
        self.metadata = metadata
        self.maker: dict[str, Any] = {}

    @abstractmethod
    def _write(self, data: Any, path: Path) -> None:
        """Write ``data`` as the file or directory ``path``, whose parent exists."""

    @abstractmethod
    def _read(self, path: Place) -> Any:
        """Read what ``_write`` wrote, wherever it lies now."""

    def _unsettled(self, data: Any) -> int:
        """Return how many rows of ``data`` another run would ask for again."""
        return 0

    def _saved(self, data: Any) -> None:
        """Clean up what ``data`` left behind, now that it is a version."""

    def load(self) -> Any:
        path = self.place_of(self._get_load_path())
        with one_sentence_of(self._root):
            return self._read(path)

    def save(self, data: Any) -> None:
        target = self.place_of(self._get_save_path())
        if is_local(target):
            self._save_here(data, target)
        else:
            self._send(data, target)
        self._saved(data)

    def _save_here(self, data: Any, target: Path) -> None:
        final = target.parent
        partial = final.parent / f".partial-{final.name}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            self._write(data, partial / target.name)
            (partial / RECORD_FILE).write_text(self._record_of(data, partial / target.name))
            flush_tree(partial)
            os.replace(partial, final)
            flush_directory(final.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _send(self, data: Any, target: "UPath") -> None:
        with TemporaryDirectory() as scratch:
            written = Path(scratch) / target.name
            self._write(data, written)
            record = self._record_of(data, written)
            with one_sentence_of(self._root):
                if target.parent.exists():  # remains of a killed save
                    target.fs.rm(target.parent.path, recursive=True)
                send(written, target)
                target.fs.pipe_file((target.parent / RECORD_FILE).path, record.encode("utf-8"))

    def _record_of(self, data: Any, written: Path) -> str:
        """Return the version's record as text."""
        record = {
            **self.maker,
            "content": content_hash(written),
            "unsettled": self._unsettled(data),
        }
        return json.dumps(record, indent=1, ensure_ascii=False)

    @property
    def root(self) -> Place:
        """The directory that holds the versions."""
        return self._root

    def place_of(self, path: PurePosixPath | str) -> Place:
        """Return the place of a path that Kedro derived from ``filepath``."""
        if is_local(self._root):
            return Path(path)
        return self._root / PurePosixPath(path).relative_to(self._filepath).as_posix()

    def leftovers(self) -> list[Place]:
        """Return the directories that killed saves left."""
        if is_local(self._root):
            return sorted(self._root.glob(".partial-*"))
        if not self._root.exists():
            return []
        found = [p for p in self._root.iterdir() if p.is_dir() and p.name]
        return [p for p in found if not (p / RECORD_FILE).exists()]

    def _is_whole(self, path: str) -> bool:
        with one_sentence_of(self._root):
            return (self.place_of(path).parent / RECORD_FILE).exists()

    def _get_versions(self) -> list[str]:
        """Return the paths of all versions, newest first; Kedro's methods and ours build on it."""
        if is_local(self._root):
            return super()._get_versions()
        with one_sentence_of(self._root):  # one flat listing, not one per version
            paths = self._root.fs.find(self._root.path)
        files = map(PurePosixPath, paths)
        inside = [f.relative_to(self._filepath).parts for f in files if self._filepath in f.parents]
        found = sorted((p[0] for p in inside if p[1:] == (RECORD_FILE,)), reverse=True)
        return [str(self._get_versioned_path(version)) for version in found]

    def versions(self) -> list[str]:
        """Return all versions, newest first."""
        return [Path(path).parent.name for path in self._get_versions()]

    def newest(self) -> str | None:
        """Return the pinned version or else the newest; None if there is none."""
        try:
            return self.resolve_load_version()
        except VersionNotFoundError:
            return None

    def load_version(self, version: str) -> Any:
        """Load a version, whichever is pinned."""
        with one_sentence_of(self._root):
            return self._read(self.place_of(self._get_versioned_path(version)))

    def record(self, version: str) -> dict[str, Any]:
        """Return what made a version; for a foreign version only its content hash."""
        directory = self.place_of(self._get_versioned_path(version)).parent
        if not isinstance(directory, Path):
            return self._remote_record(version, directory)
        try:
            return json.loads((directory / RECORD_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {"content": content_hash(directory / self._filepath.name)}

    def _remote_record(self, version: str, directory: "UPath") -> dict[str, Any]:
        if version not in self._records:
            with one_sentence_of(self._root):
                text = (directory / RECORD_FILE).read_text(encoding="utf-8")
                self._records[version] = json.loads(text)
        return self._records[version]

    @property
    def is_pinned(self) -> bool:
        """Whether a version was chosen to be loaded."""
        return self._version is not None and self._version.load is not None

    def pin(self, version: str) -> None:
        """Load this version from now on."""
        self._version = Version(version, self._version.save if self._version else None)
        self._clear_version_cache()

    def renew(self, version: str) -> str:
        """Make an older version the newest, as this run's own; return its new name.

        Files are linked, which takes no space; where they cannot be linked they are copied, in an
        object store by the store itself.
        """
        source = self.place_of(self._get_versioned_path(version)).parent
        new = str(self.resolve_save_version())
        if not isinstance(source, Path):
            with one_sentence_of(self._root):
                copy_within(source, source.parent / new, last=RECORD_FILE)
            return new
        final = source.parent / new
        partial = source.parent / f".partial-{new}"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial, copy_function=link)
        os.replace(partial, final)
        flush_directory(final.parent)
        return new

    def _exists(self) -> bool:
        try:
            path = self._get_load_path()
            return Path(path).exists() if is_local(self._root) else self._is_whole(str(path))
        except PersynError:  # an object store does not answer
            raise
        except Exception:  # Kedro raises a DatasetError if there is no version yet
            return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._root), "version": self._version}


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and hashes of a directory's files."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(p for p in path.rglob("*") if p.is_file())
    listing = "".join(f"{p.relative_to(path)} {content_hash(p)}\n" for p in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def link(source: str, target: str) -> None:
    """Link a file, or copy it where links are not possible."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
