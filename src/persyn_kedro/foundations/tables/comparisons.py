"""Tables of the comparison of strategies."""

import pyarrow as pa

from persyn_kedro.foundations.tables.added import ADDED
from persyn_kedro.foundations.tables.answers import FAILED_SAYS_WHY, ROUTED_RESPONSES
from persyn_kedro.foundations.tables.declare import (
    Between,
    Column,
    Table,
    anything,
    count,
    finite,
    hex_id,
    one_of,
    text,
)
from persyn_kedro.foundations.tables.messages import messages_column

ALLOCATIONS = Table(
    "allocations",
    ["strategy", "prompt_id"],
    [
        text("strategy"),
        hex_id("prompt_id"),
        Column(
            "choices",
            pa.list_(pa.string()),
            "the teachers to ask, in order",
            "must name one or more teachers",
            lambda s: s.list.len() >= 1,
        ),
    ],
)
STRATEGY_RESPONSES = Table(
    "strategy_responses",
    ["strategy", "prompt_id", "sample_index"],
    [text("strategy"), *ROUTED_RESPONSES.columns],
    [FAILED_SAYS_WHY],
)
SPENT = ["calls", "prompt_tokens", "completion_tokens", "cached_prompt_tokens"]


def _spent(name: str, meaning: str) -> Column:
    return count(name, pa.int64(), meaning, null=name in ADDED)


STRATEGY_TOKENS = Table(
    "strategy_tokens",
    ["strategy", "teacher"],
    [
        text("strategy"),
        text("teacher"),
        *(_spent(name, "of the training set only") for name in SPENT),
        *(
            _spent(f"whole_{n}", "including the calibration answers needed to choose")
            for n in SPENT
        ),
    ],
    [Between("whole_calls", "must be at least calls", lambda f: f["whole_calls"] >= f["calls"])],
)
STRATEGY_PROMPTS = Table(
    "strategy_prompts",
    ["strategy", "prompt_id"],
    [
        text("strategy"),
        hex_id("prompt_id"),
        count("completion_tokens", pa.int64(), "of the answers asked for, rejected ones included"),
        count("added_tokens", pa.int64(), "of these, beside the answers that it chooses by"),
    ],
    [
        Between(
            "added_tokens",
            "must be at most completion_tokens",
            lambda f: f["added_tokens"] <= f["completion_tokens"],
        )
    ],
)
STRATEGY_EXAMPLES = Table(
    "strategy_examples",
    ["strategy", "prompt_id", "response_key"],
    [
        text("strategy"),
        hex_id("prompt_id"),
        text("teacher"),
        hex_id("response_key"),
        text("prompt"),
        text("response", "as trained on"),
        messages_column(),
    ],
)
# One row for each student (strategy, seed) and test prompt.
TRIALS = Table(
    "trials",
    ["strategy", "seed", "prompt_id"],
    [
        text("strategy"),
        anything("seed", pa.int64(), "null if untrained"),
        hex_id("prompt_id"),
        hex_id("response_key"),
        one_of("finish_reason", "stop", "length", "error"),
        count("completion_tokens", pa.int32()),
        finite("quality", "null if unknown"),
    ],
)
# A trained student that has answered the test prompts, and where its answers are stored.
STORED_TRIALS = pa.schema(
    [("trial_id", pa.string()), ("weights_id", pa.string()), ("recipe_id", pa.string())]
)

TABLES = [
    ALLOCATIONS,
    STRATEGY_RESPONSES,
    STRATEGY_TOKENS,
    STRATEGY_PROMPTS,
    STRATEGY_EXAMPLES,
    TRIALS,
]
