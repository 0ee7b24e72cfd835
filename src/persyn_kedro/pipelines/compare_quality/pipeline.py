"""calibration answers -> judgements -> quality_comparison."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.compare_quality import nodes
from persyn_kedro.pipelines.described import node


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.judge_answers,
                [
                    "calibration_responses",
                    "source_prompts",
                    "params:models",
                    "params:teachers",
                    "params:label",
                    "params:compare_quality",
                    "quality_store",
                    "params:engine",
                    "params:seed",
                    "response_store",
                    "ledger",
                ],
                "judgements",
                name="judge_answers",
                does="Judges the calibration answers in each of the ways that are compared; what "
                "is in the store is not judged again.",
            ),
            node(
                nodes.compare_kinds,
                [
                    "judgements",
                    "calibration_responses",
                    "token_statistics",
                    "params:models",
                    "params:teachers",
                    "params:label",
                    "params:compare_quality",
                    "params:seed",
                    "params:student",
                ],
                "quality_comparison",
                name="compare_kinds",
                does="Compares the ways of judging: agreement, what each would have routed, and "
                "how good that is by the others' figures.",
            ),
        ],
        namespace="compare_quality",
        prefix_datasets_with_namespace=False,
    )
