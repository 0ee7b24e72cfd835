"""Hub repositories: which commit a name currently stands for."""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from persyn_kedro.foundations.errors import PersynError

COMMIT = re.compile("[0-9a-f]{40}")


@lru_cache  # a run sees one state of the hub; see ``ask_anew``
def hub_commit(name: str, revision: str | None, kind: Literal["model", "dataset"]) -> str:
    """Return the commit that a revision of a hub repository points to (the cached one, if offline).

    A commit id that is in the cache is used without asking the hub.

    Raises:
        PersynError: it is not on the hub, or the hub is unreachable and the cache lacks it.
    """
    import huggingface_hub
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    cached = _cached_commit(name, revision, kind)
    if cached is not None and cached == revision:
        return cached
    try:
        info = huggingface_hub.HfApi().repo_info(name, revision=revision, repo_type=kind)
    except Exception as error:  # the hub's and the connection's share no base
        if cached and not isinstance(error, (RepositoryNotFoundError, RevisionNotFoundError)):
            return cached
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise PersynError(f"Hub {kind} {name!r} was not found: {reason[0]}") from error
    if not COMMIT.fullmatch(info.sha or ""):
        raise PersynError(f"Hub {kind} {name!r} has no commit id.")
    return str(info.sha)


def cached_model(name: str, commit: str, patterns: Sequence[str] = ()) -> Path | None:
    """Return the directory of a cached hub model; makes no request.

    None if it lacks a file that matches one of the patterns, as far as the hub's list is cached.
    """
    found = _snapshot(name, commit, "model", patterns)
    return Path(found) if found else None


def _snapshot(
    name: str, revision: str | None, kind: str, patterns: Sequence[str] = ()
) -> str | None:
    """Return a cached snapshot's directory; without patterns, also that of some of its files."""
    import huggingface_hub
    from huggingface_hub.errors import IncompleteSnapshotError

    try:
        return huggingface_hub.snapshot_download(
            name,
            revision=revision,
            repo_type=kind,
            local_files_only=True,
            allow_patterns=[*patterns] or None,
            ignore_patterns=["*/*"] if patterns else None,
        )
    except IncompleteSnapshotError as error:  # we fetch some files of each repository
        return None if patterns else error.snapshot_path
    except (OSError, ValueError):  # includes the hub's own errors
        return None


@lru_cache  # asks once per run for a model without the files
def fetch_files(name: str, commit: str, files: tuple[str, ...]) -> Path:
    """Return a hub model's directory in the cache, with those of these files that the model has.

    If the cache has one of them it is trusted; otherwise the hub is asked.

    Raises:
        PersynError: they are not in the cache, and the hub is unreachable.
    """
    import huggingface_hub

    cached = cached_model(name, commit)
    if cached and _has_any(cached, files):
        return cached
    try:
        found = Path(
            huggingface_hub.snapshot_download(name, revision=commit, allow_patterns=list(files))
        )
        if not _has_any(found, files):  # also the result when the hub is unreachable
            huggingface_hub.HfApi().repo_info(name, revision=commit)
    except Exception as error:  # the hub's and the connection's share no base
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise PersynError(f"Hub model {name!r} could not be fetched: {reason[0]}") from error
    return found


def ask_anew() -> None:
    """Forget what the hub said: each run sees the hub's state at its start."""
    hub_commit.cache_clear()
    fetch_files.cache_clear()


def _has_any(directory: Path, files: Sequence[str]) -> bool:
    return any((directory / name).is_file() for name in files)


def hub_licence(name: str, revision: str | None, kind: Literal["model", "dataset"]) -> str | None:
    """Return the licence on a hub repository's card; None if none, or the hub is unreachable."""
    import huggingface_hub

    try:
        info = huggingface_hub.HfApi().repo_info(name, revision=revision, repo_type=kind)
    except Exception:  # the hub's and the connection's share no base
        return None
    return card_licence(getattr(info, "card_data", None))


def card_licence(card: Any) -> str | None:
    """Return the licence in a card's data (``huggingface_hub.CardData``), or None."""
    licence = getattr(card, "license", None)
    if licence == "other":
        licence = getattr(card, "license_name", None)
    if isinstance(licence, list) and len(licence) == 1:
        (licence,) = licence
    return licence if isinstance(licence, str) and licence != "unknown" else None


def _cached_commit(name: str, revision: str | None, kind: str) -> str | None:
    directory = _snapshot(name, revision, kind)
    found = Path(directory).name if directory else ""
    return found if COMMIT.fullmatch(found) else None
