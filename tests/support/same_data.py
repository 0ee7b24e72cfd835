"""Whether two projects hold the same: all that the catalog has a version of, so a new table too."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as pads
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from safetensors.numpy import load_file

from persyn_kedro.datasets.atomic import AtomicVersionedDataset

OF_THE_RUN = {"run_manifest"}  # when, where and by which settings it was made


def newest_data(directory: Path, env: str = "smoke") -> dict[str, Any]:
    """Return the newest version of each data set that has one, as plain values and arrays."""
    bootstrap_project(directory)
    with KedroSession.create(project_path=directory, env=env) as session:
        catalog = session.load_context().catalog
        sets = {name: catalog.get(name) for name in catalog}
        kept = {n: s for n, s in sets.items() if isinstance(s, AtomicVersionedDataset)}
        return {
            name: _plain(data.load(), directory)
            for name, data in kept.items()
            if name not in OF_THE_RUN and data.exists()
        }


def _plain(data: Any, directory: Path) -> Any:
    if isinstance(data, pads.Dataset):
        columns = {field.name: str(field.type) for field in data.schema}
        return {"columns": columns, "rows": data.to_table().to_pylist()}
    if isinstance(data, Path):  # of a model; a project's own are relative to it
        root = directory / data
        files = sorted(path for path in root.rglob("*") if path.is_file())
        assert files, f"nothing is in {root}"
        return {str(path.relative_to(root)): _content(path) for path in files}
    return data


def _content(file: Path) -> Any:
    return load_file(file) if file.suffix == ".safetensors" else file.read_bytes()


def differences(
    found: Any, wanted: Any, within: float = 0.0, apart: Sequence[str] = (), at: str = ""
) -> Iterator[str]:
    """Yield where two values differ, numbers by more than ``within``.

    What cannot be equal is set ``apart``, as "/data set/…/column" with ``*`` for any text.
    """
    if any(fnmatch(at, pattern) for pattern in apart):
        return
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        if list(found) != list(wanted):
            yield f"{at}: {list(found)} instead of {list(wanted)}"
        for key in wanted.keys() & found.keys():
            yield from differences(found[key], wanted[key], within, apart, f"{at}/{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(found) == len(wanted):
        for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
            yield from differences(one, other, within, apart, f"{at}/{place}")
    elif not _equal(found, wanted, within):
        yield f"{at}: {str(found)[:200]} instead of {str(wanted)[:200]}"


def _equal(found: Any, wanted: Any, within: float) -> bool:
    if type(found) is not type(wanted):
        return False
    if isinstance(wanted, (float, np.ndarray)):
        return np.shape(found) == np.shape(wanted) and np.allclose(
            found, wanted, rtol=0, atol=within, equal_nan=True
        )
    return bool(found == wanted)
