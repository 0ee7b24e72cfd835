"""Exported directories: files of several kinds, written once."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from persyn_kedro.datasets.atomic import link
from persyn_kedro.datasets.model_directory import ModelDirectory


class ExportDirectory(ModelDirectory):
    """Loads the path; saves files by their names in the directory.

    A text is written as UTF-8, a stream of record batches as Parquet, and a path is linked.
    """

    def _write(self, data: Any, path: Path) -> None:
        contents: Mapping[str, str | Path | pa.RecordBatchReader] = data
        for name, content in contents.items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                file.write_text(content, encoding="utf-8")
            elif isinstance(content, Path):
                link(str(content), str(file))
            else:
                with pq.ParquetWriter(file, content.schema) as writer:
                    for batch in content:
                        writer.write_batch(batch)

    def _saved(self, data: Any) -> None:
        """Leave the given files: others use them too."""


class ArrowDirectory(ExportDirectory):
    """Saves Parquet files, by split, as a ``DatasetDict`` that ``load_from_disk`` opens."""

    def _write(self, data: Any, path: Path) -> None:
        from datasets import Dataset, DatasetDict, disable_progress_bars

        disable_progress_bars()
        cache = tempfile.mkdtemp(dir=path.parent, prefix=".arrow-")
        splits = {}
        for split, file in data.items():
            splits[split] = Dataset.from_parquet(str(file), cache_dir=cache)
            splits[split].info.download_checksums = None  # contains paths of this machine
        DatasetDict(splits).save_to_disk(path)
        shutil.rmtree(cache)
