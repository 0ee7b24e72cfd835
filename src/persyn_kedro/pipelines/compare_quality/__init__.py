"""The ``compare_quality`` step."""

from persyn_kedro.pipelines.compare_quality.pipeline import create_pipeline

__all__ = ["create_pipeline"]
