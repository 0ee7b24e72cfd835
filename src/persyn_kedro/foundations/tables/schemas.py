"""The columns of every table that passes between steps, as pyarrow schemas."""

import pyarrow as pa

PROMPTS = pa.schema(
    [
        ("prompt_id", pa.string()),  # foundations.hashing.text_id of prompt
        ("prompt", pa.string()),
        ("reference", pa.string()),  # null where none is known
        ("source", pa.string()),  # file name, hub id or reasoning-gym task
        ("metadata", pa.string()),  # JSON; a reasoning-gym entry, or null
    ]
)

# The prompts that every teacher answers.
CALIBRATION_SET = pa.schema([("prompt_id", pa.string()), ("prompt", pa.string())])

# split: calibration | train | test.
# part: fit | holdout (of calibration), sft | withheld (of train), null (of test)
SPLITS = pa.schema([("prompt_id", pa.string()), ("split", pa.string()), ("part", pa.string())])

RESPONSE_FIELDS = [
    ("response_key", pa.string()),  # settings_id of weights_id, recipe_id, prompt_id, sample_index
    ("weights_id", pa.string()),
    ("recipe_id", pa.string()),  # system prompt, chat template, sampling settings
    ("prompt_id", pa.string()),
    ("sample_index", pa.int32()),
    ("response", pa.string()),  # raw, with any <think> text
    ("finish_reason", pa.string()),  # stop | length | error
    ("prompt_tokens", pa.int32()),
    ("completion_tokens", pa.int32()),
    ("error", pa.string()),
    ("engine", pa.string()),  # null where the teacher was not asked
]
STORED_RESPONSES = pa.schema(RESPONSE_FIELDS)
RESPONSES = pa.schema([("teacher", pa.string()), *RESPONSE_FIELDS])
# How a response ended, for as many as there are prompts: what memory is to hold of each. Texts may
# be more than it holds; the other columns are the same for all of a teacher's.
WORD = pa.dictionary(pa.int16(), pa.string())
STORED_OUTCOMES = pa.schema(
    [
        ("response_key", pa.string()),
        ("prompt_id", pa.string()),
        ("finish_reason", WORD),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("error", pa.string()),
        ("engine", WORD),
    ]
)
OUTCOMES = pa.schema([("teacher", WORD), *STORED_OUTCOMES])

STATISTICS_FIELDS = [
    ("tokens", pa.int32()),  # null statistics where the response is empty
    ("sum_logp", pa.float64()),  # nats
    ("sum_rank_100", pa.float64()),  # sum of min(rank, 100), rank of the true token from 1
    ("sum_p2", pa.float64()),  # sum over positions of sum over vocabulary of p squared
    ("sum_p_true", pa.float64()),
    ("logp", pa.list_(pa.float16())),
]
STORED_STATISTICS = pa.schema([("response_key", pa.string()), *STATISTICS_FIELDS])
TOKEN_STATISTICS = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("teacher", pa.string()),
        ("response_key", pa.string()),
        *STATISTICS_FIELDS,
    ]
)

STORED_QUALITY = pa.schema(
    [("response_key", pa.string()), ("reference_id", pa.string()), ("quality", pa.float64())]
)

QUALITY = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("teacher", pa.string()),
        ("response_key", pa.string()),
        ("quality", pa.float64()),  # null is unknown
    ]
)

REWARDS = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("teacher", pa.string()),
        ("response_key", pa.string()),
        ("quality", pa.float64()),
        ("learnability", pa.float64()),
        ("quality_normalised", pa.float64()),
        ("learnability_normalised", pa.float64()),
        ("reward", pa.float64()),  # null where invalid
        ("valid", pa.bool_()),
    ]
)

CALLS = pa.schema(
    [
        ("teacher", pa.string()),
        ("responses", pa.int64()),  # wanted
        ("calls", pa.int64()),  # made in this run; the rest came from the store
        ("prompt_tokens", pa.int64()),  # of the calls made
        ("completion_tokens", pa.int64()),
        ("errors", pa.int64()),  # in this run, those set aside before a call too
        ("cost", pa.float64()),
    ]
)

PLAN = pa.schema(
    [
        ("step", pa.string()),  # label, generate or evaluate
        ("teacher", pa.string()),  # evaluate: the student, before and after
        ("responses", pa.float64()),  # wanted; expected ones where no router has chosen yet
        ("calls", pa.float64()),  # of these the store lacks
        ("prompt_tokens", pa.float64()),  # of the calls
        ("completion_tokens", pa.float64()),  # expected
        ("most_completion_tokens", pa.float64()),  # all calls at max_new_tokens
        ("cost", pa.float64()),
        ("most_cost", pa.float64()),
        ("basis", pa.string()),  # what the expected completion tokens go by
    ]
)

ASSIGNMENTS = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("teacher", pa.string()),
        ("scores", pa.list_(pa.float32())),  # in the pool's order
        ("margin", pa.float32()),  # best score minus second best
    ]
)

ROUTED_RESPONSES = pa.schema([("rank", pa.int32()), ("quality", pa.float64()), *RESPONSES])

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
MESSAGES = pa.list_(MESSAGE)
SFT_DATASET = pa.schema(
    [
        ("prompt", MESSAGES),
        ("completion", MESSAGES),
        ("teacher", pa.string()),
        ("scores", pa.list_(pa.float32())),
        ("reward", pa.float64()),  # null where unknown
        ("prompt_id", pa.string()),
        ("response_key", pa.string()),
        ("part", pa.string()),  # sft | withheld
    ]
)

# Comparison of strategies. choices: the teachers to ask, the first one first.
ALLOCATIONS = pa.schema(
    [("strategy", pa.string()), ("prompt_id", pa.string()), ("choices", pa.list_(pa.string()))]
)
# The router's scores at other alphas than label.alpha.
ALPHA_SCORES = pa.schema(
    [("alpha", pa.float64()), ("prompt_id", pa.string()), ("scores", pa.list_(pa.float32()))]
)
STRATEGY_RESPONSES = pa.schema([("strategy", pa.string()), *ROUTED_RESPONSES])
SPENT = ["calls", "prompt_tokens", "completion_tokens"]
# Of the training set alone; whole_: with the calibration answers that choosing needs.
STRATEGY_TOKENS = pa.schema(
    [
        ("strategy", pa.string()),
        ("teacher", pa.string()),
        *((name, pa.int64()) for name in SPENT),
        *((f"whole_{name}", pa.int64()) for name in SPENT),
    ]
)
STRATEGY_EXAMPLES = pa.schema(
    [
        ("strategy", pa.string()),
        ("prompt_id", pa.string()),
        ("teacher", pa.string()),
        ("response_key", pa.string()),
        ("prompt", pa.string()),
        ("response", pa.string()),  # as trained on
    ]
)
# One row for each student (strategy, seed; seed null: untrained) and test prompt.
TRIALS = pa.schema(
    [
        ("strategy", pa.string()),
        ("seed", pa.int64()),
        ("prompt_id", pa.string()),
        ("response_key", pa.string()),
        ("finish_reason", pa.string()),
        ("completion_tokens", pa.int32()),
        ("quality", pa.float64()),  # null is unknown
    ]
)
# A student that was trained and has answered the test prompts: where its answers are stored.
STORED_TRIALS = pa.schema(
    [("trial_id", pa.string()), ("weights_id", pa.string()), ("recipe_id", pa.string())]
)
# Two responses to one prompt, one right and one wrong, as they are scored.
PREFERENCE_PAIRS = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("prompt", pa.string()),
        ("chosen", pa.string()),
        ("rejected", pa.string()),
        ("part", pa.string()),  # fit | holdout, of the prompt
    ]
)
# Routers compared: scores of each prompt by a router that was not fitted on it.
ROUTER_SCORES = pa.schema(
    [
        ("kind", pa.string()),
        ("size", pa.float64()),  # share of the other folds' prompts that it was fitted on
        ("fitted_on", pa.int64()),  # prompts with two valid teachers among them
        ("fold", pa.int32()),
        ("prompt_id", pa.string()),
        ("scores", pa.list_(pa.float32())),
    ]
)
STORED_SCORES = pa.schema([("prompt_id", pa.string()), ("scores", pa.list_(pa.float32()))])

_UNSETTLED = b"unsettled"


def with_unsettled(table: pa.Table, count: int) -> pa.Table:
    """Return the table with the number of its failed rows that a further run would ask again."""
    return table.replace_schema_metadata({_UNSETTLED: str(count)})


def unsettled_rows(schema: pa.Schema) -> int:
    """Return what ``with_unsettled`` noted, 0 where it did not."""
    return int((schema.metadata or {}).get(_UNSETTLED, b"0"))
