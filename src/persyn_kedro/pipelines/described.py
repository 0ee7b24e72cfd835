"""Nodes with a sentence that says what they do, which Kedro-Viz shows at a click."""

import warnings
from collections.abc import Callable
from typing import Any

from kedro.pipeline import node as kedro_node
from kedro.pipeline.node import Node
from kedro.pipeline.preview_contract import TextPreview
from kedro.utils import KedroExperimentalWarning


def node(
    func: Callable[..., Any],
    inputs: str | list[str],
    outputs: str | list[str],
    *,
    name: str,
    does: str,
) -> Node:
    """Return Kedro's node; ``does`` is one plain sentence for readers of the lineage."""
    with warnings.catch_warnings():  # Kedro warns once per process that previews are new
        warnings.simplefilter("ignore", KedroExperimentalWarning)
        return kedro_node(
            func, inputs, outputs, name=name, preview_fn=lambda: TextPreview(content=does)
        )
