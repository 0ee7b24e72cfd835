"""prompts, splits -> calibration_responses -> token_statistics, quality -> rewards."""

from kedro.pipeline import Pipeline, node

from persyn_kedro.pipelines.label import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.answer_calibration_prompts,
                [
                    "prompts",
                    "splits",
                    "params:models",
                    "params:teachers",
                    "params:engine",
                    "params:label",
                    "params:seed",
                    "response_store",
                    "ledger",
                ],
                ["calibration_responses", "calibration_calls"],
            ),
            node(
                nodes.score_learnability,
                [
                    "calibration_responses",
                    "prompts",
                    "params:models",
                    "params:teachers",
                    "params:student",
                    "params:label",
                    "statistics_store",
                ],
                "token_statistics",
            ),
            node(
                nodes.score_quality,
                [
                    "calibration_responses",
                    "prompts",
                    "params:models",
                    "params:teachers",
                    "params:label",
                    "quality_store",
                ],
                "quality",
            ),
            node(
                nodes.normalise_rewards,
                [
                    "calibration_responses",
                    "token_statistics",
                    "quality",
                    "params:teachers",
                    "params:label",
                ],
                "rewards",
            ),
        ],
        namespace="label",
        prefix_datasets_with_namespace=False,
    )
