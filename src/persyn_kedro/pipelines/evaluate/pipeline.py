"""student -> test answers and withheld statistics, before and after -> metrics, report."""

from kedro.pipeline import Pipeline, node

from persyn_kedro.pipelines.evaluate import nodes

_ASK = [
    "prompts",
    "splits",
    "params:models",
    "params:student",
    "params:engine",
    "params:evaluate",
    "params:seed",
    "response_store",
]
_CHECK = ["prompts", "params:models", "params:student", "quality_store"]
_SCORE = [
    "sft_dataset",
    "routed_responses",
    "prompts",
    "params:models",
    "params:teachers",
    "params:student",
    "params:label",
    "statistics_store",
]


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.answer_test,
                _ASK,
                "test_responses_before",
                name="answer_test_before",
            ),
            node(
                nodes.answer_test,
                [*_ASK, "student"],
                "test_responses_after",
                name="answer_test_after",
            ),
            node(
                nodes.check_test_answers,
                ["test_responses_before", *_CHECK],
                "test_quality_before",
                name="check_test_before",
            ),
            node(
                nodes.check_test_answers,
                ["test_responses_after", *_CHECK],
                "test_quality_after",
                name="check_test_after",
            ),
            node(
                nodes.score_withheld,
                _SCORE,
                "withheld_statistics_before",
                name="score_withheld_before",
            ),
            node(
                nodes.score_withheld,
                [*_SCORE, "student"],
                "withheld_statistics_after",
                name="score_withheld_after",
            ),
            node(
                nodes.measure_student,
                [
                    "prompts",
                    "splits",
                    "test_quality_before",
                    "test_quality_after",
                    "withheld_statistics_before",
                    "withheld_statistics_after",
                    "params:evaluate",
                ],
                "evaluation_metrics",
                name="measure_student",
            ),
            node(
                nodes.summarise,
                [
                    "assignments",
                    "rewards",
                    "calibration_calls",
                    "routed_calls",
                    "routed_responses",
                    "splits",
                    "sft_dataset",
                    "router_metrics",
                    "evaluation_metrics",
                    "params:models",
                    "params:teachers",
                    "params:student",
                    "params:label",
                ],
                ["report_summary", "report"],
                name="summarise",
            ),
        ],
        namespace="evaluate",
        prefix_datasets_with_namespace=False,
    )
