"""JSON documents, HTML pages and plots."""

import base64
import json
from pathlib import Path
from typing import Any

from kedro_datasets._typing import ImagePreview, JSONPreview

from persyn_kedro.datasets.atomic import AtomicVersionedDataset


class JsonDocument(AtomicVersionedDataset):
    """A JSON-able value; indented, keys in the order given."""

    def _write(self, data: Any, path: Path) -> None:
        path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def _read(self, path: Path) -> Any:
        return json.loads(path.read_text(encoding="utf-8"))

    def preview(self) -> JSONPreview:
        """Return the document for Kedro-Viz."""
        return JSONPreview(json.dumps(self.load()))


class HtmlPage(AtomicVersionedDataset):
    """A self-contained page."""

    def _write(self, data: str, path: Path) -> None:
        path.write_text(data, encoding="utf-8")

    def _read(self, path: Path) -> str:
        return path.read_text(encoding="utf-8")


class PngPlot(AtomicVersionedDataset):
    """The bytes of a PNG."""

    def _write(self, data: bytes, path: Path) -> None:
        path.write_bytes(data)

    def _read(self, path: Path) -> bytes:
        return path.read_bytes()

    def preview(self) -> ImagePreview:
        """Return the plot for Kedro-Viz."""
        return ImagePreview(base64.b64encode(self.load()).decode())
