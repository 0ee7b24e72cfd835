"""The ``prepare`` step."""

from persyn_kedro.pipelines.prepare.pipeline import create_pipeline

__all__ = ["create_pipeline"]
