"""Tables of teachers' answers and their costs."""

import pyarrow as pa

from persyn_kedro.foundations.tables.declare import (
    ROUNDING,
    Between,
    Table,
    anything,
    count,
    given,
    hex_id,
    one_of,
    share,
    text,
)

RESPONSE = [
    hex_id("response_key", "settings_id of weights_id, recipe_id, prompt_id, sample_index"),
    text("weights_id"),
    hex_id("recipe_id", "system prompt, chat template, sampling settings"),
    hex_id("prompt_id"),
    count("sample_index", pa.int32(), "which of the teacher's answers to the prompt, from 0"),
    given("response", pa.string(), "raw, with any <think> text; may be empty"),
    one_of("finish_reason", "stop", "length", "error"),
    count("prompt_tokens", pa.int32()),
    count("completion_tokens", pa.int32()),
    count("cached_prompt_tokens", pa.int32(), "from the server's cache, if it says", null=True),
    anything("error", pa.string()),
    anything("engine", pa.string(), "null if the teacher was not called"),
]
FAILED_SAYS_WHY = Between(
    "error",
    "must be set exactly when finish_reason is error",
    lambda f: f["error"].notna() == (f["finish_reason"] == "error"),
)
RESPONSES = Table(
    "responses",
    ["prompt_id", "teacher", "sample_index"],
    [text("teacher"), *RESPONSE],
    [FAILED_SAYS_WHY],
)
ROUTED_RESPONSES = Table(
    "routed_responses",
    ["prompt_id", "sample_index"],
    [
        count("rank", pa.int32(), "0: the router's first choice"),
        share("quality"),
        *RESPONSES.columns,
    ],
    [FAILED_SAYS_WHY],
)
STORED_RESPONSES = pa.schema([(column.name, column.type) for column in RESPONSE])
# How responses ended, for all prompts at once: what memory holds of each. Their texts may not fit
# into memory, and the other columns are the same for all of a teacher's responses.
WORD = pa.dictionary(pa.int16(), pa.string())
STORED_OUTCOMES = pa.schema(
    [
        ("response_key", pa.string()),
        ("prompt_id", pa.string()),
        ("sample_index", pa.int16()),
        ("finish_reason", WORD),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("cached_prompt_tokens", pa.int32()),
        ("error", pa.string()),
        ("engine", WORD),
    ]
)
OUTCOMES = pa.schema([("teacher", WORD), *STORED_OUTCOMES])

CALLS = Table(
    "calls",
    ["teacher"],
    [
        text("teacher"),
        count("responses", pa.int64(), "wanted"),
        count("calls", pa.int64(), "made in this run; the rest came from the store"),
        count("prompt_tokens", pa.int64(), "of the calls made"),
        count("completion_tokens", pa.int64()),
        count("cached_prompt_tokens", pa.int64(), "of those of the prompts", null=True),
        count("errors", pa.int64(), "in this run, including those set aside before a call"),
        count("cost", pa.float64()),
    ],
    [
        Between("calls", "must not exceed responses", lambda f: f["calls"] <= f["responses"]),
        Between("errors", "must not exceed responses", lambda f: f["errors"] <= f["responses"]),
    ],
)
PLAN = Table(
    "plan",
    ["step", "teacher"],
    [
        text("step", "label, generate or evaluate"),
        text("teacher", "for evaluate: the student, before and after"),
        count("responses", pa.float64(), "wanted; an expectation if no router has chosen yet"),
        count("calls", pa.float64(), "those that the store lacks"),
        count("prompt_tokens", pa.float64(), "of the calls"),
        count("completion_tokens", pa.float64(), "expected"),
        count("most_completion_tokens", pa.float64(), "all calls at max_new_tokens"),
        count("cost", pa.float64()),
        count("most_cost", pa.float64()),
        text("basis", "what the expected completion tokens are based on"),
    ],
    [
        Between(
            "calls",
            "must not exceed responses",
            lambda f: f["calls"] <= f["responses"] + ROUNDING,
        ),
        Between(
            "completion_tokens",
            "must not exceed most_completion_tokens",
            lambda f: f["completion_tokens"] <= f["most_completion_tokens"] + ROUNDING,
        ),
    ],
)

TABLES = [RESPONSES, ROUTED_RESPONSES, CALLS, PLAN]
