"""The ``fit_signal`` step."""

from persyn_kedro.pipelines.fit_signal.pipeline import create_pipeline

__all__ = ["create_pipeline"]
