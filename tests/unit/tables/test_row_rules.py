"""Every rule of a table's rows, with a row that breaks it alone."""

from typing import Any

import pytest

from persyn_kedro.foundations.tables.registry import COLUMNS
from tests.support.good_rows import (
    ASSISTANT,
    ID,
    INF,
    INVALID,
    NAN,
    SYSTEM,
    UNASKED,
    UNSCORED,
    USER,
    another,
    check,
    refusal,
    rows_of,
)

ALSO_GOOD: list[tuple[str, dict[str, Any]]] = [
    ("prompts", {"reference": None, "metadata": None}),
    ("splits", {"split": "calibration", "part": "holdout"}),
    ("splits", {"split": "train", "part": "sft"}),
    ("splits", {"split": "train", "part": "withheld"}),
    ("splits", {"split": "test", "part": None}),
    ("responses", UNASKED),
    ("responses", {"finish_reason": "length"}),
    ("responses", {"response": ""}),
    ("calls", {"responses": 0, "calls": 0, "errors": 0, "cost": 0.0}),
    ("token_statistics", {"tokens": 0, **UNSCORED}),
    ("token_statistics", {"tokens": 5000, **UNSCORED}),  # longer than the student's context
    ("token_statistics", {"sum_logp": 1e-7, "sum_rank_100": 2.0, "sum_p2": 2.0001}),
    ("token_statistics", {"sum_logp": NAN, "sum_p2": NAN, "sum_p_true": NAN, "logp": [NAN, NAN]}),
    ("quality", {"quality": None}),
    ("rewards", {**INVALID, "valid": False, "response_key": None, "quality": None}),
    ("rewards", {**INVALID, "valid": False, "quality": -INF, "learnability": -INF}),
    ("rewards", {"learnability": 3.5}),  # of a signal of the user's own
    ("rewards", {"quality": None, "quality_normalised": None, "reward": 1 + 1e-10}),
    ("assignments", {"scores": [1.0, 1.0], "margin": 0.0}),
    ("routed_responses", {**UNASKED, "rank": 2, "quality": None}),
    ("sft_dataset", {"prompt": [SYSTEM, USER], "reward": None, "part": "withheld"}),
    ("trials", {"seed": None, "quality": -3.5}),
]
BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("prompts", "prompt_id", {"prompt_id": None}),
    ("prompts", "prompt_id", {"prompt_id": ID.upper()}),
    ("prompts", "prompt_id", {"prompt_id": ID[:31]}),
    ("prompts", "prompt_id", {"prompt_id": ID + "\n"}),
    ("prompts", "prompt", {"prompt": None}),
    ("prompts", "prompt", {"prompt": " \n\u3000"}),
    ("prompts", "source", {"source": None}),
    ("prompts", "source", {"source": ""}),
    ("splits", "prompt_id", {"prompt_id": None}),
    ("splits", "split", {"split": "validation"}),
    ("splits", "split", {"split": None}),
    ("splits", "part", {"part": None}),
    ("splits", "part", {"part": "sft"}),
    ("splits", "part", {"split": "train", "part": "fit"}),
    ("splits", "part", {"split": "test", "part": "sft"}),
    ("splits", "part", {"split": "test", "part": "other"}),
    ("calibration_set", "prompt_id", {"prompt_id": "p"}),
    ("calibration_set", "prompt", {"prompt": ""}),
    ("responses", "teacher", {"teacher": None}),
    ("responses", "teacher", {"teacher": " "}),
    ("responses", "response_key", {"response_key": None}),
    ("responses", "weights_id", {"weights_id": None}),
    ("responses", "recipe_id", {"recipe_id": "r"}),
    ("responses", "prompt_id", {"prompt_id": None}),
    ("responses", "sample_index", {"sample_index": -1}),
    ("responses", "response", {"response": None}),
    ("responses", "finish_reason", {"finish_reason": "content_filter"}),
    ("responses", "finish_reason", {"finish_reason": None}),
    ("responses", "prompt_tokens", {"prompt_tokens": -1}),
    ("responses", "completion_tokens", {"completion_tokens": None}),
    ("responses", "error", {"error": "no"}),
    ("responses", "error", {"finish_reason": "error"}),
    ("plan", "calls", {"calls": 3.5}),
    ("plan", "completion_tokens", {"completion_tokens": 8.5}),
    ("plan", "step", {"step": None}),
    ("plan", "cost", {"cost": -1.0}),
    ("calls", "teacher", {"teacher": None}),
    ("calls", "responses", {"responses": None}),
    ("calls", "calls", {"calls": -1}),
    ("calls", "calls", {"calls": 4}),
    ("calls", "prompt_tokens", {"prompt_tokens": -1}),
    ("calls", "completion_tokens", {"completion_tokens": -1}),
    ("calls", "errors", {"errors": 4}),
    ("calls", "cost", {"cost": -0.5}),
    ("calls", "cost", {"cost": NAN}),
    ("token_statistics", "response_key", {"response_key": None}),
    ("token_statistics", "tokens", {"tokens": None}),
    ("token_statistics", "tokens", {"tokens": -1, **UNSCORED}),
    ("token_statistics", "sum_logp", {"sum_logp": 0.1}),
    ("token_statistics", "sum_logp", {"sum_logp": None}),
    ("token_statistics", "sum_rank_100", {"sum_rank_100": 1.0}),
    ("token_statistics", "sum_rank_100", {"sum_rank_100": 201.0}),
    ("token_statistics", "sum_rank_100", {**UNSCORED, "sum_rank_100": 3.0}),
    ("token_statistics", "sum_p2", {"sum_p2": 2.1}),
    ("token_statistics", "sum_p_true", {"sum_p_true": -0.1}),
    ("token_statistics", "logp", {"logp": [-0.5]}),
    (
        "token_statistics",
        "logp",
        {"tokens": 0, "logp": [], "sum_logp": 0.0, "sum_rank_100": 0.0, "sum_p2": 0.0}
        | {"sum_p_true": 0.0},
    ),
    ("quality", "teacher", {"teacher": ""}),
    ("quality", "quality", {"quality": INF}),
    ("quality", "quality", {"quality": NAN}),
    ("rewards", "prompt_id", {"prompt_id": "x" * 32}),
    ("rewards", "quality", {"quality": NAN}),
    ("rewards", "learnability", {"learnability": NAN}),
    ("rewards", "quality_normalised", {"quality_normalised": 1.001}),
    ("rewards", "quality_normalised", {**INVALID, "valid": False, "quality_normalised": 0.5}),
    ("rewards", "learnability_normalised", {"learnability_normalised": -0.001}),
    (
        "rewards",
        "learnability_normalised",
        {**INVALID, "valid": False, "learnability_normalised": 0.5},
    ),
    ("rewards", "reward", {"reward": 1.001}),
    ("rewards", "reward", {"reward": NAN}),
    ("rewards", "reward", {"reward": None}),
    ("rewards", "reward", {**INVALID, "valid": False, "reward": 0.5}),
    ("rewards", "valid", {"valid": None}),
    ("assignments", "prompt_id", {"prompt_id": None}),
    ("assignments", "teacher", {"teacher": None}),
    ("assignments", "scores", {"scores": None}),
    ("assignments", "scores", {"scores": [1.0]}),
    ("assignments", "scores", {"scores": [1.0, NAN]}),
    ("assignments", "scores", {"scores": [INF, 1.0]}),
    ("assignments", "scores", {"scores": [1.0, None]}),
    ("assignments", "margin", {"margin": -0.5}),
    ("assignments", "margin", {"margin": NAN}),
    ("assignments", "margin", {"margin": None}),
    ("routed_responses", "rank", {"rank": -1}),
    ("routed_responses", "quality", {"quality": 1.5}),
    ("routed_responses", "error", {"finish_reason": "error"}),
    ("sft_dataset", "prompt", {"prompt": []}),
    ("sft_dataset", "prompt", {"prompt": None}),
    ("sft_dataset", "prompt", {"prompt": [USER, SYSTEM]}),
    ("sft_dataset", "prompt", {"prompt": [USER, USER]}),
    ("sft_dataset", "prompt", {"prompt": [ASSISTANT]}),
    ("sft_dataset", "prompt", {"prompt": [None]}),
    ("sft_dataset", "prompt", {"prompt": [{"role": "user", "content": None}]}),
    ("sft_dataset", "prompt", {"prompt": [{"role": "system", "content": None}, USER]}),
    ("sft_dataset", "completion", {"completion": [{"role": "assistant", "content": " "}]}),
    ("sft_dataset", "completion", {"completion": [USER]}),
    ("sft_dataset", "completion", {"completion": [ASSISTANT, ASSISTANT]}),
    ("sft_dataset", "scores", {"scores": [NAN, 1.0]}),
    ("sft_dataset", "reward", {"reward": -0.001}),
    ("sft_dataset", "response_key", {"response_key": None}),
    ("sft_dataset", "part", {"part": "fit"}),
    ("allocations", "strategy", {"strategy": ""}),
    ("allocations", "choices", {"choices": []}),
    ("alpha_scores", "alpha", {"alpha": 1.5}),
    ("router_scores", "scores", {"scores": [NAN, 1.0]}),
    ("router_scores", "size", {"size": 2.0}),
    ("strategy_responses", "error", {"finish_reason": "error"}),
    ("strategy_tokens", "prompt_tokens", {"prompt_tokens": -1}),
    ("strategy_tokens", "whole_calls", {"whole_calls": 1}),
    ("strategy_examples", "response", {"response": " "}),
    ("trials", "quality", {"quality": float("inf")}),
    ("trials", "finish_reason", {"finish_reason": "done"}),
    ("preference_pairs", "part", {"part": "test"}),
]


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_good_table_passes_empty_or_not(kind: str) -> None:
    check(kind, rows_of(kind), rows_of(kind, {}, another(kind)), rows_of(kind))


@pytest.mark.parametrize(("kind", "change"), ALSO_GOOD)
def test_unusual_rows_that_the_steps_make_pass(kind: str, change: dict[str, Any]) -> None:
    check(kind, rows_of(kind, change))


@pytest.mark.parametrize(("kind", "column", "change"), BROKEN)
def test_a_row_that_breaks_a_rule_is_refused(
    kind: str, column: str, change: dict[str, Any]
) -> None:
    sentence = refusal(kind, rows_of(kind, another(kind)), rows_of(kind, change))
    assert sentence.startswith(f"Table {kind} is not saved: {column} must ")
    assert " in row 2 (" in sentence
