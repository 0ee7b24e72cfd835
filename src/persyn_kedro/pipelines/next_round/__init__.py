"""The rounds after the first one."""

from persyn_kedro.pipelines.next_round.pipeline import create_pipeline

__all__ = ["create_pipeline"]
