"""From a model's settings to a directory of safetensors, and to the identity of its weights."""

import hashlib
import os
import shutil
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.files import check_directory, file_patterns, local_directory
from persyn_kedro.foundations.models.hub import cached_model, hub_commit
from persyn_kedro.foundations.models.own_templates import template_in_effect
from persyn_kedro.foundations.processes.child import call_in_child
from persyn_kedro.foundations.settings.endpoint import EndpointSettings
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.storage.cache import VERSION, file_sha256, finished, place_of
from persyn_kedro.foundations.storage.mirror import copy_here, not_here


@dataclass(frozen=True)
class ResolvedModel:
    """A model on disk.

    Attributes:
        name: its name in the settings; never part of an identity.
        directory: with config.json, safetensors and the tokenizer.
        weights_id: changes if and only if the weights' source does.
        settings: as the user gave them.
    """

    name: str
    directory: Path
    weights_id: str
    settings: ModelSettings

    @cached_property
    def size(self) -> int:
        """The bytes of its files; 0 if there are none on this machine."""
        return sum(path.stat().st_size for path in self.directory.glob("*") if path.is_file())

    @cached_property
    def chat_template(self) -> str:
        """The Jinja template in effect, from ``template_in_effect``.

        It depends only on model and settings: date and arguments are part of it.

        Raises:
            PersynError: it is not valid Jinja, or draws random numbers.
        """
        return template_in_effect(self.name, self.directory, self.settings)


def resolve_models(models: Models, names: Iterable[str]) -> dict[str, ResolvedModel]:
    """Resolve the models with these names, each once.

    Raises:
        PersynError: unknown name, or as for ``resolve_model``.
    """
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name not in models.root:
            known = ", ".join(models.root) or "none"
            raise PersynError(f"Unknown model {name!r}; the settings have {known}.")
    return {name: resolve_model(name, models.root[name]) for name in wanted}


def resolve_model(name: str, settings: ModelSettings) -> ResolvedModel:
    """Return the model's directory and identity; fetch, convert or make it if missing.

    Raises:
        PersynError: the source does not exist or does not contain a model.
    """
    from persyn_kedro.foundations.models.zoo_source import source_of

    weights_id = identify_weights(name, settings)
    given, settings = settings, source_of(settings)
    if settings.zoo:
        directory = _zoo(settings.zoo)
    elif settings.gguf:
        directory = _gguf(Path(settings.gguf).expanduser())
    elif settings.hub:
        directory = _hub(settings.hub, weights_id.rpartition("@")[2], settings)
    elif settings.local:
        directory = local_directory(settings)
    elif settings.endpoint:
        directory = Path(os.devnull)
    else:
        directory = _random(settings)
    return ResolvedModel(name, directory, weights_id, given)


def here(model: ResolvedModel) -> ResolvedModel:
    """Return the model on this machine: another node of a cluster may have resolved it.

    Raises:
        PersynError: this machine cannot get it, or has other weights.
    """
    from persyn_kedro.foundations.models.zoo_source import as_identified

    directory = copy_here(model.directory)
    if (directory / "config.json").is_file():
        return replace(model, directory=directory)
    settings = model.settings
    if settings.local and not directory.exists():
        raise not_here(directory)
    settings = as_identified(settings, model.weights_id)
    try:
        if settings.zoo:  # wheels there, and here too
            return replace(model, directory=_zoo(settings.zoo))
        found = resolve_model(model.name, settings)
    except PersynError as error:
        raise PersynError(f"Node {socket.gethostname()} of the cluster: {error}") from error
    if found.weights_id != model.weights_id:
        raise PersynError(
            f"Node {socket.gethostname()} of the cluster has different weights for {model.name!r} "
            "than the node that started the run."
        )
    return replace(found, settings=model.settings)


def identify_weights(name: str, settings: ModelSettings) -> str:
    """Return the ``weights_id`` that ``resolve_model`` will give; fetch and convert nothing.

    Raises:
        PersynError: the source does not exist or does not contain a model.
    """
    from persyn_kedro.foundations.models.gguf.conversion import check_gguf
    from persyn_kedro.foundations.models.zoo import zoo_model
    from persyn_kedro.foundations.models.zoo_source import chosen_commit

    if settings.zoo:
        zoo, commit = zoo_model(settings.zoo), chosen_commit(settings.zoo)
        return f"hub:{zoo.origin}@{commit}" if commit else f"gguf:{zoo.sha256}"
    if settings.gguf:
        path = Path(settings.gguf).expanduser()
        check_gguf(path)
        return f"gguf:{file_sha256(path)}"
    if settings.hub:
        return f"hub:{settings.hub}@{hub_commit(settings.hub, settings.revision, 'model')}"
    if settings.local:
        return _local_id(name, local_directory(settings), settings)
    if settings.endpoint:
        return _endpoint_id(settings)
    return f"random:{settings.random}-{settings.random_seed}-{VERSION}"


def find_model(name: str, settings: ModelSettings) -> ResolvedModel | None:
    """Return the model if it is on this disk; fetch, convert and make nothing.

    Raises:
        PersynError: as ``identify_weights``.
    """
    from persyn_kedro.foundations.models.zoo_source import source_of, wheels_place

    weights_id = identify_weights(name, settings)
    given, settings = settings, source_of(settings)
    directory: Path | None
    if settings.zoo:
        directory = wheels_place(settings.zoo)
    elif settings.gguf:
        directory = place_of("gguf", weights_id.removeprefix("gguf:")[:12])
    elif settings.hub:
        commit = weights_id.rpartition("@")[2]
        directory = cached_model(settings.hub, commit, file_patterns(settings))
    elif settings.local:
        directory = local_directory(settings)
    elif settings.endpoint:
        return ResolvedModel(name, Path(os.devnull), weights_id, settings)
    else:
        directory = place_of("random", f"{settings.random}-{settings.random_seed}")
    if directory is None or not (directory / "config.json").is_file():
        return None
    return ResolvedModel(name, directory, weights_id, given)


def check_hub_files(settings: ModelSettings, commit: str) -> None:
    """Refuse a hub model without safetensors, before any download or API call.

    Raises:
        PersynError: it has only pickled weights, or none. (If the hub is unreachable, the cache has
            the model, and loading it will tell.)
    """
    import huggingface_hub

    try:
        files = huggingface_hub.HfApi().list_repo_files(str(settings.hub), revision=commit)
    except Exception:  # the hub's and the connection's share no base
        return
    if settings.allow_pickle or any(name.endswith(".safetensors") for name in files):
        return
    raise PersynError(
        f"Hub model {settings.hub!r} has no safetensors. If you trust its pickled weights, which "
        "can run code when they are read, set the model's allow_pickle."
    )


def check_source(name: str, settings: ModelSettings, asked: bool = True) -> None:
    """Raise a PersynError if a zoo, local or GGUF model does not exist; fetch nothing.

    Also raised if a model that is to be ``asked`` lacks its API key or a header's value.
    """
    from persyn_kedro.foundations.models.gguf.conversion import check_gguf
    from persyn_kedro.foundations.models.zoo import zoo_model

    if settings.zoo:
        zoo_model(settings.zoo)
    elif settings.local:
        check_directory(f"Model {name!r}", local_directory(settings), settings)
    elif settings.gguf:
        check_gguf(Path(settings.gguf).expanduser())
    elif asked and settings.endpoint:
        _check_variables(name, settings.endpoint)


def _check_variables(name: str, endpoint: EndpointSettings) -> None:
    for variable in endpoint.variables:
        value = os.environ.get(variable, "").strip()
        headers = [h for h, v in endpoint.extra_headers.items() if v == variable]
        what = "an API key" if variable == endpoint.api_key_env else f"the header {headers[0]}"
        if not value:
            raise PersynError(
                f"Model {name!r} needs {what} in the environment variable {variable}, which is not "
                "set."
            )
        if not (value.isascii() and value.isprintable()):
            raise PersynError(
                f"The environment variable {variable} ({what} of model {name!r}) contains "
                "characters that no header can have."
            )


def _zoo(name: str) -> Path:
    from persyn_kedro.foundations.models.gguf.conversion import convert_gguf
    from persyn_kedro.foundations.models.zoo import fetch_zoo_model, zoo_model

    sha256 = zoo_model(name).sha256

    def build(directory: Path) -> None:
        download = directory / "download"
        download.mkdir()
        convert_gguf(fetch_zoo_model(name, download), directory)
        shutil.rmtree(download)

    return finished("zoo", f"{name}-{sha256[:12]}", build)


def _gguf(path: Path) -> Path:
    from persyn_kedro.foundations.models.gguf.conversion import convert_gguf

    return finished("gguf", file_sha256(path)[:12], lambda building: convert_gguf(path, building))


def _hub(model: str, commit: str, settings: ModelSettings) -> Path:
    from huggingface_hub import snapshot_download

    try:
        directory = Path(
            snapshot_download(
                model,
                revision=commit,
                allow_patterns=file_patterns(settings),
                ignore_patterns=["*/*"],
            )
        )
    except (OSError, ValueError) as error:  # includes the hub's own errors
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise PersynError(f"Hub model {model!r} could not be fetched: {reason[0]}") from error
    check_directory(f"Hub model {model!r}", directory, settings)
    return directory


def _local_id(name: str, directory: Path, settings: ModelSettings) -> str:
    check_directory(f"Model {name!r}", directory, settings)
    files = sorted({p for pattern in file_patterns(settings) for p in directory.glob(pattern)})
    listing = "".join(f"{path.name} {file_sha256(path)}\n" for path in files if path.is_file())
    return f"local:{hashlib.sha256(listing.encode()).hexdigest()}"


def _endpoint_id(settings: ModelSettings) -> str:
    """Identify the model behind a server, as well as a client can."""
    endpoint = settings.endpoint
    assert endpoint is not None  # noqa: S101 - checked by the caller
    revision = f"@{settings.revision}" if settings.revision else ""
    return f"endpoint:{endpoint.url.rstrip('/')}#{endpoint.model}{revision}"


def _random(settings: ModelSettings) -> Path:
    from persyn_kedro.foundations.models.random import make_random_model

    kind, seed = settings.random, settings.random_seed
    assert kind is not None  # noqa: S101 - the settings name exactly one source

    def build(directory: Path) -> None:
        call_in_child(make_random_model, directory, kind, seed, label=f"random {kind} model")

    return finished("random", f"{kind}-{seed}", build)
