"""The lineage as a static site, with the rows, columns and size of every table.

Kedro-Viz counts data frames as they pass; this project's tables are streamed, so they are counted
in their files, including those of skipped steps.
"""

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.extras import need
from persyn_kedro.foundations.secrets import hide

log = logging.getLogger(__name__)


class LineageHooks:
    """Writes ``.viz/stats.json``, which ``kedro viz`` reads, after each run."""

    _project: Path

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        self._project = Path(context.project_path)

    @hook_impl(trylast=True)  # Kedro-Viz's own hook writes the same file, without our tables
    def after_pipeline_run(self, catalog: Any) -> None:
        if not (self._project / "pyproject.toml").is_file():  # packaged: nothing to view
            return
        try:
            _write_statistics(self._project, catalog)
        except OSError as error:  # the run itself succeeded
            log.warning("Kedro-Viz will show no statistics: %s", error)


def build_site(project: Path, catalog: Any, env: str | None) -> Path:
    """Write the static site with previews to the project's ``build``; return its page.

    Raises:
        PersynError: Kedro-Viz could not build it (it has logged why).
    """
    need("The lineage's site", "viz")
    from kedro_viz.api.rest.utils import get_package_compatibilities
    from kedro_viz.launchers.cli.utils import create_shareableviz_process

    _write_statistics(project, catalog)
    if env:
        os.environ["KEDRO_ENV"] = env  # Kedro-Viz has no other way to set it
    build = project / "build"
    shutil.rmtree(build, ignore_errors=True)
    create_shareableviz_process("local", is_all_previews_enabled=True)
    page = build / "index.html"
    if not page.exists():
        raise PersynError("Kedro-Viz could not build the lineage: see above.")
    _hide_secrets(build / "api")
    # Its page also requests this file, which Kedro-Viz does not write.
    packages = [package.model_dump() for package in get_package_compatibilities()]
    metadata = {"has_missing_dependencies": False, "package_compatibilities": packages}
    (build / "api" / "metadata").write_text(json.dumps(metadata), encoding="utf-8")
    return page


def _hide_secrets(api: Path) -> None:
    """Rewrite what the site says of parameters and files, which is to be seen by others."""
    for file in [path for path in api.rglob("*") if path.is_file()]:
        said = json.loads(file.read_bytes())
        hidden = hide(said)
        if hidden != said:
            file.write_text(json.dumps(hidden, indent=2, ensure_ascii=False), encoding="utf-8")


def _write_statistics(project: Path, catalog: Any) -> None:
    file = project / ".viz" / "stats.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(table_statistics(catalog)), encoding="utf-8")


def table_statistics(catalog: Any) -> dict[str, dict[str, int]]:
    """Return ``{table: {"rows", "columns", "file_size" (bytes)}}`` of the tables that exist."""
    from persyn_kedro.datasets.parquet_table import ParquetTable  # not for every command of Kedro

    datasets = {name: catalog.get(name) for name in catalog.keys()}
    return {
        name: dataset.statistics()
        for name, dataset in datasets.items()
        if isinstance(dataset, ParquetTable) and dataset.exists()
    }
