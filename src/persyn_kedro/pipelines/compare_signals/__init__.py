"""The ``compare_signals`` step."""

from persyn_kedro.pipelines.compare_signals.pipeline import create_pipeline

__all__ = ["create_pipeline"]
