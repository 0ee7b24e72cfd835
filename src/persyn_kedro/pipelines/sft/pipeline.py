"""sft_dataset -> student."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.sft import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.train_student,
                [
                    "sft_dataset",
                    "params:models",
                    "params:student",
                    "params:sft",
                    "params:seed",
                    "sft_workspace",
                ],
                ["training_curve", "student"],
                name="train_student",
                does="Fine-tunes the student on the chosen answers, with the loss only on the "
                "answers' tokens.",
            )
        ],
        namespace="sft",
        prefix_datasets_with_namespace=False,
    )
