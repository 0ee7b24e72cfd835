"""The ``route`` step."""

from persyn_kedro.pipelines.route.pipeline import create_pipeline

__all__ = ["create_pipeline"]
