"""sft_dataset, student, report -> hand_on_facts -> the same with cards, to be handed on."""

from kedro.pipeline import Pipeline, node

from persyn_kedro.pipelines.hand_on import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.collect_facts,
                [
                    "sft_dataset",
                    "routed_responses",
                    "prompts",
                    "report_summary",
                    "params:models",
                    "params:teachers",
                    "params:student",
                    "params:prepare",
                    "params:label",
                    "params:train_router",
                    "params:generate",
                    "params:hand_on",
                    "params:seed",
                    "response_store",
                ],
                "hand_on_facts",
                name="collect_facts",
            ),
            node(
                nodes.write_dataset,
                ["hand_on_facts", "sft_dataset"],
                "hand_on_dataset",
                name="write_dataset",
            ),
            node(
                nodes.write_arrow,
                ["hand_on_dataset", "hand_on_facts"],
                "hand_on_arrow",
                name="write_arrow",
            ),
            node(
                nodes.write_student,
                [
                    "hand_on_facts",
                    "student",
                    "evaluation_metrics",
                    "training_curve",
                    "params:models",
                    "params:student",
                    "params:sft",
                ],
                "hand_on_student",
                name="write_student",
            ),
        ],
        namespace="hand_on",
        prefix_datasets_with_namespace=False,
    )
