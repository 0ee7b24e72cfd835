"""calibration answers, their statistics and quality, earlier trials -> signal_comparison."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.compare_signals import nodes
from persyn_kedro.pipelines.described import node


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.compare_rewards,
                [
                    "calibration_responses",
                    "token_statistics",
                    "quality",
                    "trials_before",
                    "strategy_examples_before",
                    "signal_trials_before",
                    "signal_examples_before",
                    "params:teachers",
                    "params:label",
                    "params:compare_signals",
                ],
                "signal_comparison",
                name="compare_rewards",
                does="Computes the rewards with other signals, normalisations and alphas: how they "
                "change the choices, and how well they predict the scores of trained students.",
            ),
        ],
        namespace="compare_signals",
        prefix_datasets_with_namespace=False,
    )
