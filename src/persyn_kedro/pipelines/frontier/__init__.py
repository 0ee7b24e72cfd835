"""The ``frontier`` step."""

from persyn_kedro.pipelines.frontier.pipeline import create_pipeline

__all__ = ["create_pipeline"]
