"""The configuration of a project: its settings, and the package's catalog."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf

from persyn_kedro.runs.shared import shared_file

# Names are asked for at each start, and resolving the whole catalog takes far longer.
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ProjectConfigLoader(OmegaConfigLoader):
    """Reads the package's catalog where the project has none, and its own entries over that.

    So a project is updated by upgrading the package. This repository has the whole catalog in
    ``conf/base``.

    A run's own parameters change single keys of a group, wherever the group is. Kedro alone makes
    of them a group of the environment, which takes the place of the base's with all its keys.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key == "parameters":
            return {**self.runtime_params, **super().__getitem__(key)}  # also groups of no file
        if key != "catalog":
            return super().__getitem__(key)
        try:
            own = super().__getitem__(key)
        except MissingConfigException:
            own = {}
        shared = shared_file("conf/base/catalog.yml")
        return own if _names(shared) <= own.keys() else {**_entries(shared), **own}

    def _merge_and_resolve(
        self, key: str, config_per_file: Mapping[Path, DictConfig]
    ) -> dict[str, Any]:
        if key != "parameters" or not config_per_file:
            return super()._merge_and_resolve(key, config_per_file)
        groups = OmegaConf.merge(*config_per_file.values())
        given = {name: each for name, each in self.runtime_params.items() if name in groups}
        merged = OmegaConf.to_container(OmegaConf.merge(groups, given), resolve=True)
        assert isinstance(merged, dict)  # noqa: S101 - groups are a mapping
        return {str(name): value for name, value in merged.items()}


def _names(path: Path) -> set[str]:
    catalog = yaml.load(path.read_text(encoding="utf-8"), _YAML)  # noqa: S506 - a safe loader
    return {name for name in catalog if not name.startswith("_")}


def _entries(path: Path) -> dict[str, Any]:
    """Return a catalog's entries; the loader has registered the resolver of ``globals``."""
    catalog = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    assert isinstance(catalog, dict)  # noqa: S101 - a catalog is a mapping
    return {str(k): v for k, v in catalog.items() if not str(k).startswith("_")}
