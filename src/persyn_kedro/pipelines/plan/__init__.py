"""What a run would take, before it is paid."""

from persyn_kedro.pipelines.plan.pipeline import create_pipeline

__all__ = ["create_pipeline"]
