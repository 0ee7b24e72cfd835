"""Which old versions can be removed: all but the newest of each dataset and their ancestors."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persyn_kedro.datasets.atomic import RECORD_FILE, AtomicVersionedDataset
from persyn_kedro.foundations.storage import Place, is_local
from persyn_kedro.pipeline_registry import register_pipelines


@dataclass(frozen=True)
class Removable:
    """A version that nothing kept was made from, or the remains of a killed save."""

    dataset: str
    version: str
    directory: Place

    @property
    def size(self) -> int:
        """Bytes that no other version shares (linked files count for the versions that stay)."""
        files = [f.stat() for f in self.directory.rglob("*") if f.is_file()]
        alone = 1 if is_local(self.directory) else 0
        return sum(f.st_size for f in files if f.st_nlink == alone)


def removable(catalog: Any, keep: int) -> list[Removable]:
    """Return what can be removed if each dataset keeps its ``keep`` newest versions. No stores."""
    of_rounds = register_pipelines()["next_round"].all_outputs()  # the catalog has patterns of them
    datasets = {
        name: dataset
        for name in {*catalog.keys(), *of_rounds}
        if isinstance(dataset := catalog.get(name), AtomicVersionedDataset)
    }
    versions = {name: dataset.versions() for name, dataset in datasets.items()}
    kept = _kept(datasets, versions, keep)
    found = []
    for name, dataset in sorted(datasets.items()):
        root = dataset.root
        gone = [v for v in versions[name] if (name, v) not in kept]
        found += [Removable(name, version, root / version) for version in sorted(gone)]
        found += [Removable(name, p.name, p) for p in dataset.leftovers()]
    return found


def _kept(
    datasets: dict[str, AtomicVersionedDataset], versions: dict[str, list[str]], keep: int
) -> set[tuple[str, str]]:
    queue: list[tuple[str, Any]] = [(name, v) for name in datasets for v in versions[name][:keep]]
    kept: set[tuple[str, str]] = set()
    while queue:
        name, version = queue.pop()
        dataset = datasets.get(name)
        if (name, version) in kept or dataset is None or version not in versions[name]:
            continue
        kept.add((name, version))
        record = dataset.record(version)
        queue += record.get("input_versions", {}).items()
        queue.append(("run_manifest", record.get("run")))  # the run that made it
    return kept


def remove(items: list[Removable]) -> None:
    """Delete versions. Each is hidden first, so that it is complete or gone, never partly there."""
    for item in items:
        if not isinstance(item.directory, Path):
            (item.directory / RECORD_FILE).unlink(missing_ok=True)  # no longer a version
            item.directory.fs.rm(item.directory.path, recursive=True)
            continue
        hidden = item.directory.with_name(f".partial-{item.version.removeprefix('.partial-')}")
        if hidden != item.directory:
            item.directory.rename(hidden)
        shutil.rmtree(hidden)
