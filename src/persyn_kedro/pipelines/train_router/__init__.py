"""The ``train_router`` step."""

from persyn_kedro.pipelines.train_router.pipeline import create_pipeline

__all__ = ["create_pipeline"]
