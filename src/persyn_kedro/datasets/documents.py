"""JSON documents, figures, plots and HTML pages."""

import json
from pathlib import Path
from typing import Any

from kedro_datasets._typing import JSONPreview, PlotlyPreview, TablePreview

from persyn_kedro.datasets.atomic import AtomicVersionedDataset
from persyn_kedro.datasets.previews import NOT_MADE, preview_table, table_of_figures
from persyn_kedro.foundations.storage import Place


class JsonDocument(AtomicVersionedDataset):
    """A JSON-able value, indented, keys in the given order."""

    def _write(self, data: Any, path: Path) -> None:
        path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def _read(self, path: Place) -> Any:
        return json.loads(path.read_text(encoding="utf-8"))

    def preview(self) -> JSONPreview:
        """Return the document for Kedro-Viz."""
        return JSONPreview(json.dumps(self.load() if self.exists() else NOT_MADE))


class Figures(JsonDocument):
    """A JSON document of figures, shown as a table in Kedro-Viz."""

    def preview(self) -> TablePreview:  # type: ignore[override]
        """Return a row for each figure: its path in the document, and its value."""
        if not self.exists():
            return preview_table([NOT_MADE], [])
        return preview_table(*table_of_figures(self.load()))


class PlotlyPlot(JsonDocument):
    """A Plotly figure as JSON: ``{"data": [trace], "layout": {...}}``."""

    def preview(self) -> PlotlyPreview:  # type: ignore[override]
        """Return the plot for Kedro-Viz."""
        if not self.exists():
            note = {"text": NOT_MADE, "showarrow": False}
            return PlotlyPreview({"data": [], "layout": {"annotations": [note]}})
        return PlotlyPreview(self.load())


class HtmlPage(AtomicVersionedDataset):
    """A self-contained page."""

    def _write(self, data: str, path: Path) -> None:
        path.write_text(data, encoding="utf-8")

    def _read(self, path: Place) -> str:
        return path.read_text(encoding="utf-8")

    def preview(self) -> TablePreview:
        """Return the path of the newest page: Kedro-Viz would show it without its style."""
        if not self.exists():
            return preview_table([NOT_MADE], [])
        shown = self.place_of(self._get_load_path())
        if isinstance(shown, Path) and shown.absolute().is_relative_to(Path.cwd()):
            shown = shown.absolute().relative_to(Path.cwd())
        return preview_table(["open in a browser"], [[str(shown)]])
