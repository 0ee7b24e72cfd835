"""A versioned dataset whose half-written version can never be the latest."""

import hashlib
import json
import os
import shutil
from abc import abstractmethod
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io.core import AbstractVersionedDataset, Version, VersionNotFoundError

from persyn_kedro.foundations.durability import flush_directory, flush_tree

RECORD_FILE = "made_by.json"


class AtomicVersionedDataset(AbstractVersionedDataset):
    """Writes ``<filepath>/.partial-<version>/<name>``, then renames it to ``<filepath>/<version>``.

    The rename is atomic, and a hidden directory is no version to Kedro: a killed save leaves no
    trace in ``exists()`` or in "latest".

    Beside the data lies ``made_by.json``: the hash of the content, how many rows a further run
    would ask for again (``unsettled``), and what a runner put into ``self.maker`` before the save.
    """

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(PurePosixPath(filepath), version)
        self.metadata = metadata
        self.maker: dict[str, Any] = {}

    @abstractmethod
    def _write(self, data: Any, path: Path) -> None:
        """Write ``data`` as the file or directory ``path``, whose parent exists."""

    @abstractmethod
    def _read(self, path: Path) -> Any:
        """Read what ``_write`` wrote."""

    def _unsettled(self, data: Any) -> int:
        """Return how many rows of ``data`` a further run would ask for again."""
        return 0

    def _saved(self, data: Any) -> None:
        """Tidy up what ``data`` left, now that it is a version."""

    def load(self) -> Any:
        return self._read(Path(self._get_load_path()))

    def save(self, data: Any) -> None:
        target = Path(self._get_save_path())
        final = target.parent
        partial = final.parent / f".partial-{final.name}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            self._write(data, partial / target.name)
            record = {
                **self.maker,
                "content": content_hash(partial / target.name),
                "unsettled": self._unsettled(data),
            }
            (partial / RECORD_FILE).write_text(json.dumps(record, indent=1, ensure_ascii=False))
            flush_tree(partial)
            os.replace(partial, final)
            flush_directory(final.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self._saved(data)

    @property
    def root(self) -> Path:
        """The directory that holds the versions."""
        return Path(self._filepath)

    def versions(self) -> list[str]:
        """Return all versions, the newest first."""
        return [Path(path).parent.name for path in self._get_versions()]

    def newest(self) -> str | None:
        """Return the newest version, or the one that is pinned; None where there is none."""
        try:
            return self.resolve_load_version()
        except VersionNotFoundError:
            return None

    def load_version(self, version: str) -> Any:
        """Load a version other than the one that is pinned or the newest."""
        return self._read(Path(self._get_versioned_path(version)))

    def record(self, version: str) -> dict[str, Any]:
        """Return what made a version; of a foreign one its content alone."""
        directory = Path(self._get_versioned_path(version)).parent
        try:
            return json.loads((directory / RECORD_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {"content": content_hash(directory / self._filepath.name)}

    @property
    def is_pinned(self) -> bool:
        """Whether one version was chosen to be loaded."""
        return self._version is not None and self._version.load is not None

    def pin(self, version: str) -> None:
        """Load this version from now on."""
        self._version = Version(version, self._version.save if self._version else None)
        self._clear_version_cache()

    def renew(self, version: str) -> str:
        """Make an older version the newest, as this run's own; return its new name.

        Files are linked, so it takes no room; where they cannot be linked they are copied.
        """
        source = Path(self._get_versioned_path(version)).parent
        new = str(self.resolve_save_version())
        final = source.parent / new
        partial = source.parent / f".partial-{new}"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial, copy_function=link)
        os.replace(partial, final)
        flush_directory(final.parent)
        return new

    def _exists(self) -> bool:
        try:
            return Path(self._get_load_path()).exists()
        except Exception:  # Kedro raises a DatasetError where there is no version yet
            return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and hashes of a directory's files."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(p for p in path.rglob("*") if p.is_file())
    listing = "".join(f"{p.relative_to(path)} {content_hash(p)}\n" for p in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def link(source: str, target: str) -> None:
    """Link a file, or copy it where links cannot be made."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
