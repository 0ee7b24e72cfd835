"""The ``train_reward_model`` step."""

from persyn_kedro.pipelines.train_reward_model.pipeline import create_pipeline

__all__ = ["create_pipeline"]
