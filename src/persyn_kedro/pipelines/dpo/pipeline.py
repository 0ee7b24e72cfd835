"""preferences, student -> preferred_student -> its test answers -> student_comparison."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.dpo import nodes
from persyn_kedro.pipelines.evaluate import nodes as evaluate


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.train_on_preferences,
                [
                    "preferences",
                    "params:models",
                    "params:student",
                    "params:dpo",
                    "params:seed",
                    "student",
                    "dpo_workspace",
                ],
                ["preference_curve", "preferred_student"],
                name="train_on_preferences",
                does="Trains the fine-tuned student to prefer the better of two answers (DPO).",
            ),
            node(
                evaluate.answer_test,
                [
                    "prompts",
                    "params:models",
                    "params:student",
                    "params:engine",
                    "params:evaluate",
                    "params:seed",
                    "response_store",
                    "preferred_student",
                ],
                "test_responses_preferred",
                name="answer_test",
                does="Has the student trained on preferences answer the test prompts.",
            ),
            node(
                evaluate.check_test_answers,
                [
                    "test_responses_preferred",
                    "source_prompts",
                    "params:models",
                    "params:student",
                    "params:label",
                    "quality_store",
                ],
                "test_quality_preferred",
                name="check_test",
                does="Checks its test answers against the references.",
            ),
            node(
                evaluate.score_withheld,
                [
                    "sft_dataset",
                    "routed_responses",
                    "source_prompts",
                    "params:models",
                    "params:teachers",
                    "params:student",
                    "params:label",
                    "statistics_store",
                    "preferred_student",
                ],
                "withheld_statistics_preferred",
                name="score_withheld",
                does="Measures how likely it finds the answers that were withheld from training.",
            ),
            node(
                evaluate.measure_student,
                [
                    "prompts",
                    "test_quality_after",
                    "test_quality_preferred",
                    "withheld_statistics_after",
                    "withheld_statistics_preferred",
                    "params:evaluate",
                ],
                "preference_metrics",
                name="measure_student",
                does="Compares the student before and after preferences, as evaluate does for "
                "fine-tuning.",
            ),
            node(
                nodes.compare_students,
                ["evaluation_metrics", "preference_metrics"],
                "student_comparison",
                name="compare_students",
                does="Puts the untrained, the fine-tuned and the preferring student side by side.",
            ),
        ],
        namespace="dpo",
        prefix_datasets_with_namespace=False,
    )
