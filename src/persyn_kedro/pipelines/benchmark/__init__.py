"""The ``benchmark`` step."""

from persyn_kedro.pipelines.benchmark.pipeline import create_pipeline

__all__ = ["create_pipeline"]
