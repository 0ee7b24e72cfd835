"""The ``generate`` step."""

from persyn_kedro.pipelines.generate.pipeline import create_pipeline

__all__ = ["create_pipeline"]
