"""The columns of every table, including stored ones, as pyarrow schemas."""

import pyarrow as pa

from persyn_kedro.foundations.tables import (
    answers,
    comparisons,
    labels,
    messages,
    prompts,
    routing,
    training,
)

SOURCE_PROMPTS, PROMPTS = prompts.SOURCE_PROMPTS.schema, prompts.PROMPTS.schema
REPEATED_PROMPTS = prompts.REPEATED_PROMPTS.schema
DROPPED_PROMPTS = prompts.DROPPED_PROMPTS.schema
CALIBRATION_SET, TEST_SET = prompts.CALIBRATION_SET.schema, prompts.TEST_SET.schema
RESPONSES = answers.RESPONSES.schema
ROUTED_RESPONSES = answers.ROUTED_RESPONSES.schema
STORED_RESPONSES = answers.STORED_RESPONSES
OUTCOMES, STORED_OUTCOMES, WORD = answers.OUTCOMES, answers.STORED_OUTCOMES, answers.WORD
CALLS = answers.CALLS.schema
PLAN = answers.PLAN.schema
TOKEN_STATISTICS = labels.TOKEN_STATISTICS.schema
STORED_STATISTICS = labels.STORED_STATISTICS
QUALITY = labels.QUALITY.schema
QUALITY_TERMS = labels.QUALITY_TERMS.schema
STORED_QUALITY = labels.STORED_QUALITY
REWARDS = labels.REWARDS.schema
ASSIGNMENTS = routing.ASSIGNMENTS.schema
FOCUS = routing.FOCUS.schema
VARIANT_SCORES = routing.VARIANT_SCORES.schema
ROUTER_SCORES = routing.ROUTER_SCORES.schema
FRONTIER = routing.FRONTIER.schema
STORED_SCORES = routing.STORED_SCORES
MESSAGE, MESSAGES = messages.MESSAGE, messages.MESSAGES
SFT_DATASET = training.SFT_DATASET.schema
PREFERENCE_PAIRS = training.PREFERENCE_PAIRS.schema
PREFERENCES = training.PREFERENCES.schema
ALLOCATIONS = comparisons.ALLOCATIONS.schema
STRATEGY_RESPONSES = comparisons.STRATEGY_RESPONSES.schema
STRATEGY_TOKENS, SPENT = comparisons.STRATEGY_TOKENS.schema, comparisons.SPENT
STRATEGY_PROMPTS = comparisons.STRATEGY_PROMPTS.schema
STRATEGY_EXAMPLES = comparisons.STRATEGY_EXAMPLES.schema
TRIALS = comparisons.TRIALS.schema
STORED_TRIALS = comparisons.STORED_TRIALS

_UNSETTLED = b"unsettled"


def with_unsettled(table: pa.Table, count: int) -> pa.Table:
    """Return the table, noting how many of its failed rows another run would ask for again."""
    return table.replace_schema_metadata({_UNSETTLED: str(count)})


def unsettled_rows(schema: pa.Schema) -> int:
    """Return what ``with_unsettled`` noted, or 0."""
    return int((schema.metadata or {}).get(_UNSETTLED, b"0"))
