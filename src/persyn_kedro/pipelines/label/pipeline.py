"""prompts, splits -> calibration_set -> its responses -> token_statistics, quality -> rewards."""

from kedro.pipeline import Pipeline, node

from persyn_kedro.pipelines.label import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.select_calibration_set,
                ["prompts", "splits", "params:label"],
                "calibration_set",
                name="select_calibration_set",
            ),
            node(
                nodes.answer_calibration_prompts,
                [
                    "calibration_set",
                    "params:models",
                    "params:teachers",
                    "params:engine",
                    "params:seed",
                    "response_store",
                    "ledger",
                ],
                ["calibration_responses", "calibration_calls"],
                name="answer_calibration_prompts",
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
                name="score_learnability",
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
                name="score_quality",
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
                name="normalise_rewards",
            ),
        ],
        namespace="label",
        prefix_datasets_with_namespace=False,
    )
