"""The ``preferences`` step."""

from persyn_kedro.pipelines.preferences.pipeline import create_pipeline

__all__ = ["create_pipeline"]
