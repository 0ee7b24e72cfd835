"""Rows, columns and size of every table, for Kedro-Viz.

Kedro-Viz counts data frames as they pass; this project's tables are streamed, so they are counted
in their files, also those of steps that were skipped.
"""

import json
import logging
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

log = logging.getLogger(__name__)


class LineageHooks:
    """Writes ``.viz/stats.json``, which ``kedro viz`` reads, after each run."""

    _project: Path

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        self._project = Path(context.project_path)

    @hook_impl(trylast=True)  # Kedro-Viz's own hook writes the same file, without our tables
    def after_pipeline_run(self, catalog: Any) -> None:
        file = self._project / ".viz" / "stats.json"
        try:
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(table_statistics(catalog)), encoding="utf-8")
        except OSError as error:  # the run itself is done
            log.warning("Kedro-Viz will show no statistics: %s", error)


def table_statistics(catalog: Any) -> dict[str, dict[str, int]]:
    """Return ``{table: {"rows", "columns", "file_size" in bytes}}`` of all tables that are there."""
    from persyn_kedro.datasets.parquet_table import ParquetTable  # not for every command of Kedro

    datasets = {name: catalog.get(name) for name in catalog.keys()}
    return {
        name: dataset.statistics()
        for name, dataset in datasets.items()
        if isinstance(dataset, ParquetTable) and dataset.exists()
    }
