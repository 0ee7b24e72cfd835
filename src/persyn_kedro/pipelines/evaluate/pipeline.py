"""student -> test answers and withheld statistics, before and after -> metrics, report."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.evaluate import nodes, report

_ASK = [
    "prompts",
    "params:models",
    "params:student",
    "params:engine",
    "params:evaluate",
    "params:seed",
    "response_store",
]
_CHECK = [
    "source_prompts",
    "params:models",
    "params:student",
    "params:label",
    "quality_store",
]
_SCORE = [
    "sft_dataset",
    "routed_responses",
    "source_prompts",
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
                does="Has the student answer the test prompts before it is trained.",
            ),
            node(
                nodes.answer_test,
                [*_ASK, "student"],
                "test_responses_after",
                name="answer_test_after",
                does="Has the trained student answer the test prompts.",
            ),
            node(
                nodes.check_test_answers,
                ["test_responses_before", *_CHECK],
                "test_quality_before",
                name="check_test_before",
                does="Checks the untrained student's test answers against the references.",
            ),
            node(
                nodes.check_test_answers,
                ["test_responses_after", *_CHECK],
                "test_quality_after",
                name="check_test_after",
                does="Checks the trained student's test answers against the references.",
            ),
            node(
                nodes.score_withheld,
                _SCORE,
                "withheld_statistics_before",
                name="score_withheld_before",
                does="Measures how likely the untrained student finds the answers that were "
                "withheld from training.",
            ),
            node(
                nodes.score_withheld,
                [*_SCORE, "student"],
                "withheld_statistics_after",
                name="score_withheld_after",
                does="Measures how likely the trained student finds the answers that were "
                "withheld from training.",
            ),
            node(
                nodes.measure_student,
                [
                    "prompts",
                    "test_quality_before",
                    "test_quality_after",
                    "withheld_statistics_before",
                    "withheld_statistics_after",
                    "params:evaluate",
                ],
                "evaluation_metrics",
                name="measure_student",
                does="Compares the student before and after training: test accuracy and withheld "
                "NLL, with intervals.",
            ),
            node(
                report.sample_choices,
                [
                    "assignments",
                    "rewards",
                    "prompts",
                    "calibration_responses",
                    "params:teachers",
                    "params:label",
                ],
                "choice_samples",
                name="sample_choices",
                does="Counts where the router's choice and the strongest teacher differ and which "
                "one is right, and samples both answers.",
            ),
            node(
                report.summarise,
                [
                    "assignments",
                    "rewards",
                    "calibration_calls",
                    "routed_calls",
                    "routed_responses",
                    "prompts",
                    "sft_dataset",
                    "router_metrics",
                    "evaluation_metrics",
                    "choice_samples",
                    "estimate",
                    "signal_comparison_before",
                    "signal_fit_before",
                    "quality_comparison_before",
                    "focus",
                    "params:models",
                    "params:teachers",
                    "params:student",
                    "params:label",
                    "params:generate",
                    "frontier_before",
                    "params:route",
                    "params:rounds",
                    "dropped_prompts",
                    "params:prepare",
                    "newest_quality_terms",
                    "student_comparison_before",
                ],
                ["report_summary", "report"],
                name="summarise",
                does="Collects the report's content and writes it as a page.",
            ),
            node(
                report.draw_run_plots,
                [
                    "rewards",
                    "token_statistics",
                    "report_summary",
                    "training_curve",
                    "params:teachers",
                ],
                [
                    "reward_against_length_plot",
                    "learnability_against_quality_plot",
                    "teacher_allocation_plot",
                    "training_loss_plot",
                ],
                name="draw_run_plots",
                does="Plots the answers' rewards, the teachers' quality and learnability, the "
                "allocation of prompts, and the student's loss.",
            ),
        ],
        namespace="evaluate",
        prefix_datasets_with_namespace=False,
    )
