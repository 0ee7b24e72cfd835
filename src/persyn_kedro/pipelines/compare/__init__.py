"""The ``compare`` step."""

from persyn_kedro.pipelines.compare.pipeline import create_pipeline

__all__ = ["create_pipeline"]
