"""The ``dpo`` step."""

from persyn_kedro.pipelines.dpo.pipeline import create_pipeline

__all__ = ["create_pipeline"]
