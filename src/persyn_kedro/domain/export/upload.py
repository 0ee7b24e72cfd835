"""Publish exports: decide which files go where, and upload them to the hub."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from persyn_kedro.domain.export.dataset import PLACE
from persyn_kedro.foundations.errors import PersynError

CARD = "README.md"
_PACKED = {".parquet", ".safetensors"}  # compressed: a text search would find nothing


@dataclass(frozen=True)
class Upload:
    """A hub repository and its files, by their names there."""

    repository: str
    kind: Literal["dataset", "model"]
    files: Mapping[str, Path | bytes]

    @property
    def size(self) -> int:
        """Bytes to upload."""
        return sum(
            len(f) if isinstance(f, bytes) else f.stat().st_size for f in self.files.values()
        )


def uploads(dataset: tuple[str, Path] | None, student: tuple[str, Path] | None) -> Iterator[Upload]:
    """Yield the uploads of (repository, directory); the cards name the repositories.

    Raises:
        PersynError: a repository has an invalid name.
    """
    if dataset:
        repository, directory = dataset
        card = (directory / CARD).read_text(encoding="utf-8").replace(PLACE, _named(repository))
        yield Upload(repository, "dataset", {**_files(directory), CARD: card.encode()})
    if student:
        repository, directory = student
        text = _student_card(directory / CARD, _named(repository), dataset and dataset[0])
        yield Upload(repository, "model", {**_files(directory), CARD: text.encode()})


def check_secrets(upload: Upload, secrets: Mapping[str, str]) -> None:
    """Refuse to upload a file that contains one of the ``secrets`` (description: text).

    Cards, configurations, templates and tokenizers are searched, but not weights and tables, whose
    bytes are compressed.

    Raises:
        PersynError: names the file and what it contains, but not the text.
    """
    for name, file in upload.files.items():
        if Path(name).suffix in _PACKED:
            continue
        content = file if isinstance(file, bytes) else file.read_bytes()
        for what, text in secrets.items():
            if len(text) > 3 and text.encode() in content:
                raise PersynError(f"{name} for {upload.repository} contains {what}; not uploaded.")


def push(upload: Upload, private: bool, token: str) -> str:
    """Upload the files in one commit to a new or existing repository; return its address.

    Raises:
        PersynError: the repository has a different visibility, or the hub is unreachable or
            refuses. It is one commit, so all files are there, or none.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    hub, name, kind = HfApi(token=token), upload.repository, upload.kind
    try:
        try:
            _check_visibility(name, hub.repo_info(name, repo_type=kind), private)
        except RepositoryNotFoundError:
            hub.create_repo(name, repo_type=kind, private=private)
        operations = [
            CommitOperationAdd(path, file if isinstance(file, bytes) else str(file))
            for path, file in sorted(upload.files.items())
        ]
        message = "Upload by persyn-kedro"
        done = hub.create_commit(name, operations, commit_message=message, repo_type=kind)
    except PersynError:
        raise
    except Exception as error:  # the hub's and the connection's share no base
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise PersynError(f"Pushing to {name} failed: {reason[0]}") from error
    return str(done.repo_url)


def _check_visibility(repository: str, info: Any, private: bool) -> None:
    if bool(info.private) == private:
        return
    if private:
        raise PersynError(f"{repository} is public on the hub. If that is intended, add --public.")
    raise PersynError(f"{repository} is private on the hub. Change that there, or omit --public.")


def _named(repository: str) -> str:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise PersynError(f"{repository!r} is not a valid repository name: {error}") from error
    if repository.count("/") != 1:
        raise PersynError(f"A repository name has the form owner/name, unlike {repository!r}.")
    return repository


def _files(directory: Path) -> dict[str, Path]:
    return {
        path.relative_to(directory).as_posix(): path
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def _student_card(path: Path, repository: str, dataset: str | None) -> str:
    from huggingface_hub import ModelCard

    card = ModelCard.load(path)
    card.data.datasets = [dataset] if dataset else None
    return str(card).replace(PLACE, repository)
