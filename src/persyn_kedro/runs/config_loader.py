"""The configuration of a project of its own: its settings, and the package's catalog."""

from pathlib import Path
from typing import Any

import yaml
from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import OmegaConf

from persyn_kedro.runs.shared import shared_file

# Names are asked for at each start, and resolving the whole catalog takes far longer.
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ProjectConfigLoader(OmegaConfigLoader):
    """Reads the package's catalog where the project has none, and its own entries over that.

    So a project is updated by upgrading the package. This repository has the whole catalog in
    ``conf/base``.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key != "catalog":
            return super().__getitem__(key)
        try:
            own = super().__getitem__(key)
        except MissingConfigException:
            own = {}
        shared = shared_file("conf/base/catalog.yml")
        return own if _names(shared) <= own.keys() else {**_entries(shared), **own}


def _names(path: Path) -> set[str]:
    catalog = yaml.load(path.read_text(encoding="utf-8"), _YAML)  # noqa: S506 - a safe loader
    return {name for name in catalog if not name.startswith("_")}


def _entries(path: Path) -> dict[str, Any]:
    """Return a catalog's entries; the loader has registered the resolver of ``globals``."""
    catalog = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    assert isinstance(catalog, dict)  # noqa: S101 - a catalog is a mapping
    return {str(k): v for k, v in catalog.items() if not str(k).startswith("_")}
