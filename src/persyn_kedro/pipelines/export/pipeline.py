"""sft_dataset, preferences, student, report -> export_facts -> the same with cards, to publish."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.export import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.collect_facts,
                [
                    "sft_dataset",
                    "preferences",
                    "routed_responses",
                    "calibration_responses",
                    "source_prompts",
                    "report_summary",
                    "params:models",
                    "params:teachers",
                    "params:student",
                    "params:prepare",
                    "params:label",
                    "params:train_router",
                    "params:generate",
                    "params:export",
                    "params:seed",
                    "response_store",
                ],
                "export_facts",
                name="collect_facts",
                does="Collects the cards' content: method, teachers, licences, counts and metrics.",
            ),
            node(
                nodes.write_dataset,
                ["export_facts", "sft_dataset", "preferences"],
                "export_dataset",
                name="write_dataset",
                does="Writes the training set and the preferences with their card and "
                "LLaMA-Factory's dataset_info.json.",
            ),
            node(
                nodes.write_arrow,
                ["export_dataset", "export_facts"],
                "export_arrow",
                name="write_arrow",
                does="Writes the same rows as an Arrow directory, for load_from_disk.",
            ),
            node(
                nodes.write_student,
                [
                    "export_facts",
                    "student",
                    "evaluation_metrics",
                    "training_curve",
                    "params:models",
                    "params:student",
                    "params:sft",
                ],
                "export_student",
                name="write_student",
                does="Copies the student and adds its model card.",
            ),
        ],
        namespace="export",
        prefix_datasets_with_namespace=False,
    )
