"""The ``hand_on`` step."""

from persyn_kedro.pipelines.hand_on.pipeline import create_pipeline

__all__ = ["create_pipeline"]
