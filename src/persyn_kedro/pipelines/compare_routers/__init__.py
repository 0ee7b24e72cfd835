"""The ``compare_routers`` step."""

from persyn_kedro.pipelines.compare_routers.pipeline import create_pipeline

__all__ = ["create_pipeline"]
