"""What trackers are told of a run: parameters, numbers by name, files to attach, and links."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from persyn_kedro.datasets.documents import Figures, HtmlPage, JsonDocument
from persyn_kedro.datasets.parquet_table import ParquetTable
from persyn_kedro.foundations.secrets import hide, without_credentials
from persyn_kedro.foundations.settings import Settings
from persyn_kedro.foundations.storage import Place, is_local
from persyn_kedro.foundations.tables import COLUMNS
from persyn_kedro.foundations.tracking import Measurement, metric_name
from persyn_kedro.runs.records import groups_of

AXES = ("step", "epoch")  # the first that a curve's rows have counts them
TEXTS = {"prompt", "response", "excerpt"}  # columns: tables that have one stay here


def measurements_of(name: str, dataset: Any) -> Iterator[Measurement]:
    """Yield what the newest version of a data set measures; nothing if it is of no such kind."""
    if isinstance(dataset, Figures):
        yield from _of_figures(name, dataset.load())
    elif isinstance(dataset, ParquetTable) and dataset.table == "calls":
        for row in dataset.load().to_table().to_pylist():
            own = {key: value for key, value in row.items() if key != "teacher"}
            yield Measurement(dict(_leaves(own, (name, row["teacher"]))))
    elif isinstance(dataset, ParquetTable) and dataset.table == "trials":
        yield from _of_students(name, dataset)


def _of_figures(name: str, document: Any) -> Iterator[Measurement]:
    """Yield a curve's rows by their step or epoch, or all numbers of another document at once."""
    if not isinstance(document, list):
        if found := dict(_leaves(document, (name,))):
            yield Measurement(found)
        return
    for row in document:
        axis = next((axis for axis in AXES if axis in row), None)
        if axis is not None:
            own = {key: value for key, value in row.items() if key != axis}
            yield Measurement(dict(_leaves(own, (name,))), int(row[axis]))


def _of_students(name: str, dataset: ParquetTable) -> Iterator[Measurement]:
    """Yield the means over each student's answers, each student being a child run."""
    keys, values = ["strategy", "seed"], ["quality", "completion_tokens"]
    frame = dataset.load().to_table(columns=keys + values).to_pandas()
    for (strategy, seed), row in frame.groupby(keys, dropna=False).mean().iterrows():
        part = (("strategy", strategy), *([] if math.isnan(seed) else [("seed", int(seed))]))
        yield Measurement(dict(_leaves(row.to_dict(), (name,))), part=part)


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """Yield the finite numbers in nested mappings; the ends of an interval are numbers too."""
    if isinstance(value, Mapping):
        for key, own in value.items():
            pair = str(key).endswith("interval") and isinstance(own, list) and len(own) == 2
            inner = {"low": own[0], "high": own[1]} if pair else own
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield metric_name(*path), float(value)


def file_of(dataset: Any) -> "Place | None":
    """Return the file of a report or of a table without texts; None for any other data set."""
    if isinstance(dataset, ParquetTable):
        if dataset.table is None or TEXTS & {*COLUMNS[dataset.table].names}:
            return None
    elif not isinstance(dataset, JsonDocument | HtmlPage):
        return None
    return dataset.place_of(dataset._get_load_path())


def fetched(file: Place, scratch: Path) -> Path:
    """Return a file on this machine's disk: one in an object store is copied to ``scratch``."""
    if is_local(file):
        return file
    copy = scratch / file.name
    copy.write_bytes(file.read_bytes())
    return copy


def parameters_of(pipeline: Any, settings: Settings) -> dict[str, str]:
    """Return the settings that the run's steps read, by dotted key, without secrets (``hide``)."""
    found: dict[str, Any] = {}
    for group in sorted(groups_of(pipeline.nodes)):
        value = getattr(settings, group)
        plain = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
        found.update(_flat(hide(plain), group))
    return {key: v if isinstance(v, str) else json.dumps(v) for key, v in found.items()}


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, own in value.items():
            yield from _flat(own, f"{key}.{name}")
    else:
        yield key, value


def links_of(manifest: Mapping[str, Any], place: Any) -> dict[str, str]:
    """Return the links from a tracker to what the run read and made."""
    skipped = list(manifest["skipped"].values())
    versions: dict[str, str] = {}
    for some in [manifest["loaded"], *skipped, manifest["saved"]]:
        versions |= some
    return {
        "status": manifest["status"],
        "run": str(manifest["run"]),
        "manifest": without_credentials(str(place)),
        "git_commit": str(manifest["git_commit"]),
        **{f"version.{name}": str(version) for name, version in sorted(versions.items())},
    }
