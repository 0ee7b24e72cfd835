"""calibration answers -> a training set per reward -> adapters -> the reward to use."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.fit_signal import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.select_answers,
                [
                    "calibration_set",
                    "calibration_responses",
                    "token_statistics",
                    "quality",
                    "source_prompts",
                    "params:models",
                    "params:teachers",
                    "params:student",
                    "params:label",
                    "params:sft",
                    "params:fit_signal",
                    "params:seed",
                ],
                ["signal_test_set", "signal_examples", "signal_notes"],
                name="select_answers",
                does="Selects the calibration answers that each reward chooses, as many tokens for "
                "each, and holds prompts out.",
            ),
            node(
                nodes.train_adapters,
                [
                    "signal_examples",
                    "signal_test_set",
                    "source_prompts",
                    "params:models",
                    "params:student",
                    "params:sft",
                    "params:evaluate",
                    "params:engine",
                    "params:label",
                    "params:fit_signal",
                    "params:seed",
                    "response_store",
                    "quality_store",
                    "trial_store",
                    "signal_workspace",
                    "ledger",
                ],
                "signal_trials",
                name="train_adapters",
                does="Trains a small adapter on each set and has it answer the held-out prompts; "
                "no teacher is asked.",
            ),
            node(
                nodes.recommend_signal,
                [
                    "signal_trials",
                    "signal_notes",
                    "source_prompts",
                    "params:fit_signal",
                    "params:seed",
                ],
                "signal_fit",
                name="recommend_signal",
                does="Compares the adapters' scores and recommends a signal and an alpha.",
            ),
        ],
        namespace="fit_signal",
        prefix_datasets_with_namespace=False,
    )
