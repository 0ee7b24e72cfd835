"""What the tables of the comparisons keep to beyond their columns' types."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pyarrow as pa

from persyn_kedro.foundations.tables import rules as rule
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.main_path import (
    failed_with_an_error,
    prompts,
    response_columns,
)

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema


def _allocations() -> "DataFrameSchema":
    choices = rule.column("must name one or more teachers", lambda s: s.list.len() >= 1)
    return rule.schema(
        {"strategy": rule.text(), "prompt_id": rule.hex_id(), "choices": choices},
        ["strategy", "prompt_id"],
    )


def _alpha_scores() -> "DataFrameSchema":
    columns = {"alpha": rule.share(), "prompt_id": rule.hex_id(), "scores": rule.scores()}
    return rule.schema(columns, ["alpha", "prompt_id"])


def _router_scores() -> "DataFrameSchema":
    columns = {
        "kind": rule.text(),
        "size": rule.share(),
        "fitted_on": rule.count(),
        "fold": rule.count(),
        "prompt_id": rule.hex_id(),
        "scores": rule.scores(),
    }
    return rule.schema(columns, ["kind", "size", "prompt_id"])


def _strategy_responses() -> "DataFrameSchema":
    columns = {
        "strategy": rule.text(),
        "rank": rule.count(),
        "quality": rule.share(),
        **response_columns(),
    }
    return rule.schema(columns, ["strategy", "prompt_id"], failed_with_an_error())


def _strategy_tokens() -> "DataFrameSchema":
    counts = {name: rule.count() for name in schemas.STRATEGY_TOKENS.names[2:]}
    return rule.schema(
        {"strategy": rule.text(), "teacher": rule.text(), **counts},
        ["strategy", "teacher"],
        rule.between(
            "whole_calls", "must be no less than calls", lambda f: f["whole_calls"] >= f["calls"]
        ),
    )


def _strategy_examples() -> "DataFrameSchema":
    texts = {name: rule.text() for name in ("strategy", "teacher", "prompt", "response")}
    columns = {**texts, "prompt_id": rule.hex_id(), "response_key": rule.hex_id()}
    ordered = {name: columns[name] for name in schemas.STRATEGY_EXAMPLES.names}
    return rule.schema(ordered, ["strategy", "prompt_id"])


def _trials() -> "DataFrameSchema":
    columns = {
        "strategy": rule.text(),
        "seed": rule.anything(),  # null: untrained
        "prompt_id": rule.hex_id(),
        "response_key": rule.hex_id(),
        "finish_reason": rule.one_of("stop", "length", "error"),
        "completion_tokens": rule.count(),
        "quality": rule.finite(null=True),
    }
    return rule.schema(columns, ["strategy", "seed", "prompt_id"])


def _preference_pairs() -> "DataFrameSchema":
    texts = {name: rule.text() for name in ("prompt", "chosen", "rejected")}
    columns = {"prompt_id": rule.hex_id(), **texts, "part": rule.one_of("fit", "holdout")}
    return rule.schema(columns, ["prompt_id", "chosen", "rejected"])


TABLES: dict[str, tuple[pa.Schema, Callable[[], "DataFrameSchema"]]] = {
    "allocations": (schemas.ALLOCATIONS, _allocations),
    "alpha_scores": (schemas.ALPHA_SCORES, _alpha_scores),
    "router_scores": (schemas.ROUTER_SCORES, _router_scores),
    "strategy_responses": (schemas.STRATEGY_RESPONSES, _strategy_responses),
    "strategy_tokens": (schemas.STRATEGY_TOKENS, _strategy_tokens),
    "strategy_examples": (schemas.STRATEGY_EXAMPLES, _strategy_examples),
    "trials": (schemas.TRIALS, _trials),
    "preference_pairs": (schemas.PREFERENCE_PAIRS, _preference_pairs),
    "test_set": (schemas.PROMPTS, prompts),
}
