"""The ``label`` step."""

from persyn_kedro.pipelines.label.pipeline import create_pipeline

__all__ = ["create_pipeline"]
