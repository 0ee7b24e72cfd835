"""calibration answers, their statistics and quality -> preferences."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.preferences import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.prefer_answers,
                [
                    "calibration_responses",
                    "token_statistics",
                    "quality",
                    "source_prompts",
                    "params:models",
                    "params:teachers",
                    "params:student",
                    "params:label",
                    "params:export",
                ],
                "preferences",
                name="prefer_answers",
                does="Pairs better with worse calibration answers to the same prompt.",
            ),
        ],
        namespace="preferences",
        prefix_datasets_with_namespace=False,
    )
