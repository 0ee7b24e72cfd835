"""One good row of every table, and what says whether a table of such rows may be saved."""

from typing import Any

import pyarrow as pa
import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.checks import TableCheck
from persyn_kedro.foundations.tables.registry import COLUMNS

ID, OTHER_ID, KEY = text_id("p"), text_id("q"), text_id("k")
NAN, INF = float("nan"), float("inf")
PROMPT = {
    "prompt_id": ID,
    "prompt": "2+2?",
    "reference": "4",
    "source": "p.jsonl",
    "metadata": "{}",
}
ANSWER = {"prompt_id": ID, "teacher": "a", "response_key": KEY}
RESPONSE = {
    **ANSWER,
    "weights_id": "hub:o/m@1",
    "recipe_id": KEY,
    "sample_index": 0,
    "response": "4",
    "finish_reason": "stop",
    "prompt_tokens": 3,
    "completion_tokens": 2,
    "cached_prompt_tokens": None,
    "error": None,
    "engine": "vllm",
}
UNASKED = {"response": "", "finish_reason": "error", "error": "not asked", "engine": None}
UNSCORED = dict.fromkeys(("sum_logp", "sum_rank_100", "sum_p2", "sum_p_true", "logp"))
REWARD = {
    **ANSWER,
    "quality": 1.0,
    "learnability": -0.5,
    "quality_normalised": 1.0,
    "learnability_normalised": 0.5,
    "reward": 0.8,
    "valid": True,
}
INVALID = {"quality_normalised": None, "learnability_normalised": None, "reward": None}
CALLS = {
    "teacher": "a",
    "responses": 3,
    "calls": 2,
    "prompt_tokens": 9,
    "completion_tokens": 6,
    "cached_prompt_tokens": 4,
    "errors": 1,
    "cost": 0.5,
}
USER, SYSTEM = {"role": "user", "content": "2+2?"}, {"role": "system", "content": ""}
ASSISTANT = {"role": "assistant", "content": "4"}
TOOL = {"role": "tool", "content": ""}
# One good row of each table, and what other good rows have instead.
GOOD: dict[str, dict[str, Any]] = {
    "source_prompts": PROMPT,
    "prompts": {**PROMPT, "split": "calibration", "part": "fit"},
    "repeated_prompts": {"prompt_id": ID, "copies": 2},
    "dropped_prompts": {
        "prompt_id": ID,
        "reason": "near_duplicate",
        "copies": 1,
        "source": "p.jsonl",
        "place": "train/sft",
        "excerpt": "2+2?",
        "match": OTHER_ID,
        "match_excerpt": "2 + 2?",
        "similarity": 0.9,
    },
    "calibration_set": {"prompt_id": ID},
    "test_set": {"prompt_id": ID},
    "responses": RESPONSE,
    "calls": CALLS,
    "plan": {
        "step": "label",
        "teacher": "a",
        "responses": 3.0,
        "calls": 1.5,
        "prompt_tokens": 9.0,
        "completion_tokens": 6.0,
        "most_completion_tokens": 8.0,
        "cost": 0.5,
        "most_cost": 0.75,
        "basis": "max_new_tokens",
    },
    # Two tokens of log-probability -0.5 and -1: p = 0.607 and 0.368.
    "token_statistics": {
        **ANSWER,
        "tokens": 2,
        "sum_logp": -1.5,
        "sum_rank_100": 3.0,
        "sum_p2": 1.2,
        "sum_p_true": 0.975,
        "logp": [-0.5, -1.0],
    },
    "quality": {**ANSWER, "quality": -17.5},
    "quality_terms": {**ANSWER, "quality": -17.5, "sample_index": 0, "term": "exact_answer"},
    "rewards": REWARD,
    "assignments": {"prompt_id": ID, "teacher": "a", "scores": [0.5, -2.0], "margin": 2.5},
    "focus": {"prompt_id": ID, "why": "solved", "answers": 4, "pass_rate": 1.0},
    "routed_responses": {"rank": 0, "quality": 1.0, **RESPONSE},
    "sft_dataset": {
        "prompt": [USER],
        "completion": [ASSISTANT],
        "teacher": "a",
        "scores": [0.5, -2.0],
        "reward": 0.8,
        "prompt_id": ID,
        "response_key": KEY,
        "part": "sft",
    },
    "allocations": {"strategy": "mix", "prompt_id": ID, "choices": ["a", "b"]},
    "variant_scores": {"strategy": "v", "prompt_id": ID, "scores": [0.5, -2.0]},
    "router_scores": {
        "kind": "knn",
        "size": 0.5,
        "fitted_on": 4,
        "fold": 0,
        "prompt_id": ID,
        "scores": [0.5, -2.0],
        "repeat": 1,
    },
    "frontier": {
        "policy": "router",
        "name": "router",
        "cost_weight": 0.001,
        "prompts": 9,
        "kept": True,
        "setting": "route.objective: {cost_weight: 0.001, cost: tokens}",
        **dict.fromkeys(schemas.FRONTIER.names[6:], 0.5),
    },
    "strategy_responses": {"strategy": "mix", "rank": 0, "quality": 1.0, **RESPONSE},
    "strategy_tokens": {
        "strategy": "mix",
        "teacher": "a",
        **dict.fromkeys(schemas.STRATEGY_TOKENS.names[2:], 2),
        "whole_calls": 3,
    },
    "strategy_prompts": {
        "strategy": "persyn",
        "prompt_id": ID,
        "completion_tokens": 7,
        "added_tokens": 5,
    },
    "strategy_examples": {
        "strategy": "mix",
        "prompt_id": ID,
        "teacher": "a",
        "response_key": KEY,
        "prompt": "2+2?",
        "response": "4",
    },
    "preference_pairs": {
        "prompt_id": ID,
        "prompt": "2+2?",
        "chosen": "4",
        "rejected": "5",
        "part": "fit",
    },
    "preferences": {
        "prompt": [USER],
        "chosen": [ASSISTANT],
        "rejected": [ASSISTANT],
        "margin": 0.5,
        "score_chosen": 0.75,
        "score_rejected": 0.25,
        **{f"teacher_{side}": "a" for side in ("chosen", "rejected")},
        **{f"response_key_{side}": KEY for side in ("chosen", "rejected")},
        "prompt_id": ID,
    },
    "trials": {
        "strategy": "mix",
        "seed": 1,
        "prompt_id": ID,
        "response_key": KEY,
        "finish_reason": "stop",
        "completion_tokens": 3,
        "quality": 1.0,
    },
}


def rows_of(kind: str, *changes: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([{**GOOD[kind], **change} for change in changes], COLUMNS[kind])


def another(kind: str) -> dict[str, Any]:
    """What makes a good row another one."""
    by_teacher = ("calls", "plan", "strategy_tokens")
    other = {"frontier": {"cost_weight": 0.002}, **dict.fromkeys(by_teacher, {"teacher": "b"})}
    return other.get(kind, {"prompt_id": OTHER_ID})


def check(kind: str, *tables: pa.Table) -> None:
    checking = TableCheck(kind, kind, tables[0].schema)
    for table in tables:
        checking.check(table)


def refusal(kind: str, *tables: pa.Table) -> str:
    with pytest.raises(PersynError) as caught:
        check(kind, *tables)
    assert "\n" not in str(caught.value)
    return str(caught.value)
