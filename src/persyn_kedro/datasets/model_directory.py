"""Directories of model files, passed between steps as paths."""

import json
import shutil
from pathlib import Path

from kedro_datasets._typing import JSONPreview

from persyn_kedro.datasets.atomic import AtomicVersionedDataset, link
from persyn_kedro.datasets.previews import NOT_MADE
from persyn_kedro.foundations.storage import Place, local_copy


class ModelDirectory(AtomicVersionedDataset):
    """Loads the path, as ``from_pretrained`` and vLLM want it; saves by moving a directory in.

    The given directory disappears only once the version exists.
    """

    def _write(self, data: Path, path: Path) -> None:
        shutil.copytree(data, path, copy_function=link)

    def _saved(self, data: Path) -> None:
        shutil.rmtree(data)
        # They could only rebuild the model, which is saved, and are several times its size.
        shutil.rmtree(data.parent / "checkpoints", ignore_errors=True)

    def _read(self, path: Place) -> Path:
        return local_copy(path)

    def preview(self) -> JSONPreview:
        """Return the files' names and sizes for Kedro-Viz."""
        if not self.exists():
            return JSONPreview(json.dumps(NOT_MADE))
        root = self.place_of(self._get_load_path())
        files = [f for f in root.rglob("*") if f.is_file()]
        sizes = {str(f.relative_to(root)): f.stat().st_size for f in files}  # type: ignore[arg-type]
        return JSONPreview(json.dumps(sizes))
