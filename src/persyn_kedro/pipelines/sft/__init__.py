"""The ``sft`` step."""

from persyn_kedro.pipelines.sft.pipeline import create_pipeline

__all__ = ["create_pipeline"]
