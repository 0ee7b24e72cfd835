"""Read a project's catalog as a user would, from its directory."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io.core import Version


def entries() -> dict[str, dict[str, Any]]:
    """Return the base catalog's entries, those of rounds as the second round's.

    Names with a leading underscore are Kedro's to drop.
    """
    conf = Path(__file__).parents[2] / "conf" / "base" / "catalog.yml"
    catalog = yaml.safe_load(conf.read_text())
    kept = {name: entry for name, entry in catalog.items() if not name.startswith("_")}
    return {name.replace("{number}", "2"): entry for name, entry in kept.items()}


def versions(directory: Path, file: str, env: str = "smoke") -> list[str]:
    """Return the versions of what is kept under the name ``file``, oldest first."""
    (entry,) = (directory / "data" / env).glob(f"*/{file}")
    return sorted(p.name for p in entry.glob("2*"))


def load(directory: Path, dataset: str, env: str = "smoke") -> Any:
    """Return the newest version of ``dataset``; tables as lists of rows."""
    conf = sorted((directory / "conf").rglob("*.yml"))
    catalog = _catalog(directory, env, tuple((file, file.stat().st_mtime_ns) for file in conf))
    catalog[dataset].release()  # it keeps which version was the newest
    data = catalog.load(dataset)
    return data.to_table().to_pylist() if hasattr(data, "to_table") else data


@lru_cache(maxsize=4)  # to read it again for each table takes longer than the tables
def _catalog(directory: Path, env: str, configured: tuple[tuple[Path, int], ...]) -> Any:
    bootstrap_project(directory)
    with KedroSession.create(project_path=directory, env=env) as session:
        return session.load_context().catalog


def versioned(kind: Any, where: str | Path, version: str | None = None) -> Any:
    """Return a data set that saves as ``version`` and loads the newest."""
    return kind(filepath=str(where), version=Version(None, version))
