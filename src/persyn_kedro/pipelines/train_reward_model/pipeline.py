"""calibration answers -> preference_pairs -> reward_model and its held-out accuracy."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.train_reward_model import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.pair_answers,
                [
                    "calibration_responses",
                    "quality",
                    "prompts",
                    "params:models",
                    "params:teachers",
                    "params:train_reward_model",
                    "params:seed",
                ],
                "preference_pairs",
                name="pair_answers",
                does="Pairs right answers with wrong ones to the same prompt.",
            ),
            node(
                nodes.train_reward_model,
                [
                    "preference_pairs",
                    "params:models",
                    "params:train_reward_model",
                    "params:seed",
                    "reward_model_workspace",
                ],
                ["reward_model_training_curve", "reward_model"],
                name="train_reward_model",
                does="Trains a reward model to score the right answer of a pair above the wrong "
                "one.",
            ),
            node(
                nodes.measure_reward_model,
                [
                    "reward_model",
                    "preference_pairs",
                    "params:models",
                    "params:train_reward_model",
                    "params:seed",
                ],
                "reward_model_metrics",
                name="measure_reward_model",
                does="Measures how often the reward model prefers the right answer on prompts "
                "that it was not trained on.",
            ),
        ],
        namespace="train_reward_model",
        prefix_datasets_with_namespace=False,
    )
