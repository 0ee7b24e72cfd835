"""Where models and prompts come from, in words for strangers, and under which licence.

Local paths and server addresses are left out: they are private to this machine.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.export.licences import spelled
from persyn_kedro.foundations.models.files import local_directory
from persyn_kedro.foundations.models.hub import card_licence, hub_licence
from persyn_kedro.foundations.models.zoo import zoo_model
from persyn_kedro.foundations.secrets import without_credentials
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.storage.prompt_files import kind_of

if TYPE_CHECKING:
    from persyn_kedro.foundations.settings.prepare import PromptSource


@dataclass(frozen=True)
class Licence:
    """A licence, None if unknown, and the source of that information."""

    name: str | None
    told_by: str


UNKNOWN = Licence(None, "nobody")


def model_licence(settings: ModelSettings, weights_id: str) -> Licence:
    """Return a model's licence from the settings, or else the one that came with its weights."""
    if settings.license:
        return Licence(spelled(settings.license), "the settings")
    if settings.zoo:
        return Licence(zoo_model(settings.zoo).licence, "the zoo's list")
    found, told_by = None, "its card"
    if settings.hub:
        commit = weights_id.rpartition("@")[2]
        found, told_by = hub_licence(settings.hub, commit, "model"), "its card on the hub"
    elif settings.local:
        found = _card_beside(local_directory(settings))
    elif settings.gguf:
        found, told_by = _in_gguf(Path(settings.gguf).expanduser()), "its GGUF file"
    return Licence(spelled(found), told_by) if found else UNKNOWN


def prompts_licence(source: "PromptSource", commit: str | None, given: str | None) -> Licence:
    """Return the prompts' licence from the settings, or else the one that their source gives.

    Args:
        commit: of a hub dataset.
    """
    if given:
        return Licence(spelled(given), "the settings")
    if source.tasks:
        return Licence("apache-2.0", "reasoning-gym, which generates them")
    found = hub_licence(str(source.hub), commit, "dataset") if source.hub else None
    return Licence(spelled(found), "its card on the hub") if found else UNKNOWN


def hub_model(settings: ModelSettings) -> str | None:
    """Return a model's name on the hub, or that of the model it was converted from."""
    return zoo_model(settings.zoo).origin if settings.zoo else settings.hub


def spoken_model(settings: ModelSettings, weights_id: str) -> str:
    """Return a description of a model for a card."""
    kind, _, identity = weights_id.partition(":")
    if kind == "hub":
        return f"{hub_model(settings)} at {identity.rpartition('@')[2][:12]}"
    if settings.zoo:
        return f"{hub_model(settings)}, from a GGUF file (SHA-256 {identity[:12]}…)"
    if settings.endpoint:
        at = f" at {settings.revision}" if settings.revision else ""
        return f"{settings.endpoint.model}{at}, called over the network"
    if settings.random:
        return "random weights, for tests only"
    return f"a {'GGUF file' if kind == 'gguf' else 'local model'} (SHA-256 {identity[:12]}…)"


def spoken_source(source: "PromptSource", commit: str | None) -> str:
    """Return a description of the prompts' source for a card."""
    if source.hub:
        config = f" ({source.hub_config})" if source.hub_config else ""
        return f"{source.hub}{config}, split {source.hub_split}, at {(commit or '?')[:12]}"
    if source.file:
        name = Path(source.file).name
        what = "a file" if kind_of(name) and "*" not in name else "files"
        return f"{what}, {Path(without_credentials(source.file)).name}"
    return "reasoning-gym's tasks"


def _card_beside(directory: Path) -> str | None:
    from huggingface_hub import ModelCard

    card = directory / "README.md"
    if not card.is_file():
        return None
    try:
        return card_licence(ModelCard.load(card, ignore_metadata_errors=True).data)
    except ValueError:  # no readable front matter
        return None


def _in_gguf(path: Path) -> str | None:
    from persyn_kedro.foundations.models.gguf.reader import QuickReader

    field: Any = QuickReader(path).get_field("general.license")
    return field.contents() if field is not None else None
