"""A saved router's directory: ``router.json`` beside the weights, tied to a pool of teachers.

Reading and checking need neither torch nor scikit-learn.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.plugins import code_identity
from persyn_kedro.foundations.settings.routers import TrainRouterSettings, settings_of_kind

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

DESCRIPTION = "router.json"
SELECTION = "selection.json"  # of a router of kind auto
Pool = Sequence[dict[str, Any]]  # {teacher, weights_id, recipe_id}, in the settings' order


def check_pool(directory: Path, pool: Pool) -> None:
    """Refuse a directory without a router, or with one fitted for another pool of teachers.

    Raises:
        PersynError: names the teachers that were added, removed, reordered or changed.
    """
    saved = read_description(directory).get("teachers")
    if saved is None:
        raise PersynError(f"The router in {directory} was saved without its pool of teachers.")
    difference = pool_difference(saved, pool)
    if difference:
        raise PersynError(
            f"The router in {directory} was fitted for another pool of teachers "
            f"({difference}). Train the router again."
        )


def read_description(directory: Path) -> dict[str, Any]:
    """Return the contents of ``router.json``.

    Raises:
        PersynError: it is missing, or is not a JSON object with a kind.
    """
    path = Path(directory) / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PersynError(f"No router in {directory}: {DESCRIPTION} is missing.") from None
    except (OSError, ValueError) as error:
        raise PersynError(f"{path} cannot be read: {error}.") from error
    if not isinstance(description, dict) or "kind" not in description:
        raise PersynError(f"{path} does not describe a router.")
    return description


def write_description(directory: Path, description: dict[str, Any]) -> None:
    """Write ``router.json`` atomically."""
    draft = Path(directory) / f"{DESCRIPTION}.tmp"
    draft.write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(Path(directory) / DESCRIPTION)


def settings_in(description: Mapping[str, Any]) -> TrainRouterSettings:
    """Return the settings in a ``router.json``."""
    return settings_of_kind(description["kind"], description["settings"])


def check_own_code(directory: Path) -> dict[str, Any]:
    """Return a router's description, refusing one that another version of the user's code fitted.

    Raises:
        PersynError: names the code.
    """
    saved = read_description(directory)
    if saved.get("own_code", {}) != code_identity(saved["kind"]):
        raise PersynError(
            f"The router in {directory} was fitted with another version of {saved['kind']}. Train "
            "it again."
        )
    return saved


def task_columns_of(directory: Path) -> list[str]:
    """Return the columns beside the prompts' texts that a saved router reads."""
    return settings_in(read_description(directory)).task_columns


def selection_of(directory: Path) -> dict[str, Any] | None:
    """Return how a saved router of kind auto chose (``selection.select``), None for others."""
    path = Path(directory) / SELECTION
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


Readers: TypeAlias = "ResolvedModel | Mapping[str, ResolvedModel]"
"""The model that reads prompts; those of a router that is made of others, by name."""


def reader_of(readers: Any, settings: TrainRouterSettings) -> "ResolvedModel":
    """Return the model among ``Readers`` that these settings ask for first."""
    return readers[settings.readers[0]] if isinstance(readers, Mapping) else readers


def readers_of(models: Models, settings: TrainRouterSettings) -> Any:
    """Return the ``Readers`` of a router with these settings, fetched if they are not here."""
    from persyn_kedro.foundations.models.resolve import resolve_models

    found = resolve_models(models, settings.readers)
    return found if settings.parts else found[settings.readers[0]]


def describe(
    backbone: "ResolvedModel", settings: TrainRouterSettings, seed: int, n_fit: int
) -> dict[str, Any]:
    """Return the description that all kinds of router write; ``n_fit`` counts fitted prompts."""
    return {
        "kind": settings.kind,
        "own_code": code_identity(settings.kind),
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "n_fit": n_fit,
        "backbone": {
            "name": backbone.name,
            "weights_id": backbone.weights_id,
            "settings": backbone.settings.model_dump(mode="json"),
        },
    }


def resolve_backbone(description: dict[str, Any]) -> "ResolvedModel":
    """Resolve the backbone that a linear or kNN router embeds with.

    Raises:
        PersynError: its weights are not those that the router was fitted on.
    """
    from persyn_kedro.foundations.models import resolve as weights

    saved = description["backbone"]
    found = weights.resolve_model(saved["name"], ModelSettings(**saved["settings"]))
    if found.weights_id != saved["weights_id"]:
        raise PersynError(
            f"The router's backbone {saved['name']!r} has different weights than it was fitted on. "
            "Train the router again."
        )
    return found


def pool_difference(saved: Pool, pool: Pool) -> str:
    """Return in words what changed between two pools, "" if nothing."""
    before = {entry["teacher"]: entry for entry in saved}
    now = {entry["teacher"]: entry for entry in pool}
    parts = [f"{name!r} was added" for name in now if name not in before]
    parts += [f"{name!r} was removed" for name in before if name not in now]
    for name in (name for name in now if name in before):
        if now[name]["weights_id"] != before[name]["weights_id"]:
            parts.append(f"the weights of {name!r} changed")
        if now[name]["recipe_id"] != before[name]["recipe_id"]:
            parts.append(f"the prompt template or sampling of {name!r} changed")
    if not parts and list(now) != list(before):
        parts.append("the order of the teachers changed")
    return ", ".join(parts)
