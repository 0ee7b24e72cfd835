"""prompts -> calibration_set -> its responses -> token_statistics, quality -> rewards."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.label import judging, nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.select_calibration_set,
                ["prompts", "params:label"],
                "calibration_set",
                name="select_calibration_set",
                does="Selects the calibration prompts: the few that every teacher answers.",
            ),
            node(
                nodes.estimate_calls,
                [
                    "prompts",
                    "params:models",
                    "params:teachers",
                    "params:engine",
                    "params:generate",
                    "params:label",
                    "params:rounds",
                    "params:seed",
                    "response_store",
                ],
                "estimate",
                name="estimate_calls",
                does="Estimates the calls, tokens and cost to come, before the first call.",
            ),
            node(
                nodes.answer_calibration_prompts,
                [
                    "calibration_set",
                    "source_prompts",
                    "prompts",
                    "params:models",
                    "params:teachers",
                    "params:engine",
                    "params:student",
                    "params:train_router",
                    "params:label",
                    "params:seed",
                    "response_store",
                    "statistics_store",
                    "quality_store",
                    "ledger",
                ],
                ["calibration_responses", "calibration_calls"],
                name="answer_calibration_prompts",
                does="Has the teachers answer the calibration prompts: all, or as label.design "
                "says; answers in the store are reused.",
            ),
            node(
                nodes.score_learnability,
                [
                    "calibration_responses",
                    "source_prompts",
                    "params:models",
                    "params:teachers",
                    "params:student",
                    "params:label",
                    "statistics_store",
                ],
                "token_statistics",
                name="score_learnability",
                does="Has the student read each answer and measures how likely it finds each "
                "token: learnability.",
            ),
            node(
                judging.score_quality_terms,
                [
                    "calibration_responses",
                    "source_prompts",
                    "params:models",
                    "params:teachers",
                    "params:label",
                    "quality_store",
                    "params:engine",
                    "params:seed",
                    "response_store",
                    "ledger",
                ],
                "quality_terms",
                name="score_quality_terms",
                does="Judges each answer by each term of label.quality, if that is a list.",
            ),
            node(
                judging.score_quality,
                [
                    "calibration_responses",
                    "quality_terms",
                    "source_prompts",
                    "params:models",
                    "params:teachers",
                    "params:label",
                    "quality_store",
                    "params:engine",
                    "params:seed",
                    "response_store",
                    "ledger",
                ],
                "quality",
                name="score_quality",
                does="Checks each answer against the prompt's reference, or has a reward model or "
                "judge score it: quality.",
            ),
            node(
                nodes.normalise_rewards,
                [
                    "calibration_responses",
                    "token_statistics",
                    "quality",
                    "params:teachers",
                    "params:label",
                ],
                "rewards",
                name="normalise_rewards",
                does="Puts quality and learnability on one scale within each prompt and mixes "
                "them into the reward.",
            ),
        ],
        namespace="label",
        prefix_datasets_with_namespace=False,
    )
