"""The ``export`` step."""

from persyn_kedro.pipelines.export.pipeline import create_pipeline

__all__ = ["create_pipeline"]
