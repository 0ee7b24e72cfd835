"""The ``plan`` step."""

from persyn_kedro.pipelines.plan.pipeline import create_pipeline

__all__ = ["create_pipeline"]
