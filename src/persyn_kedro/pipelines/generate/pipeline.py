"""assignments -> routed_responses -> sft_dataset."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.generate import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.generate_responses,
                [
                    "prompts",
                    "assignments",
                    "rewards",
                    "focus",
                    "params:models",
                    "params:teachers",
                    "params:engine",
                    "params:route",
                    "params:rounds",
                    "params:generate",
                    "params:label",
                    "params:seed",
                    "response_store",
                    "quality_store",
                    "ledger",
                ],
                ["routed_responses", "routed_calls"],
                name="generate_responses",
                does="Has each teacher answer only its own prompts; chosen calibration answers "
                "are reused.",
            ),
            node(
                nodes.build_sft_dataset,
                [
                    "routed_responses",
                    "prompts",
                    "assignments",
                    "rewards",
                    "params:models",
                    "params:teachers",
                    "params:student",
                    "params:label",
                ],
                "sft_dataset",
                name="build_sft_dataset",
                does="Joins prompts and chosen answers into chats to train on, and withholds some "
                "for evaluation.",
            ),
        ],
        namespace="generate",
        prefix_datasets_with_namespace=False,
    )
