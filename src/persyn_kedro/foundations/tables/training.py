"""Tables for training a student or a reward model."""

from persyn_kedro.foundations.tables.declare import (
    Column,
    Table,
    hex_id,
    one_of,
    scores,
    share,
    text,
)
from persyn_kedro.foundations.tables.messages import (
    MESSAGES,
    each,
    is_prompt,
    kept_column,
    messages_column,
    says,
)

SFT_DATASET = Table(
    "sft_dataset",
    ["prompt_id", "response_key"],
    [
        Column(
            "prompt",
            MESSAGES,
            "",
            "must end with a user message with text, and only begin with a system message",
            each(is_prompt),
        ),
        Column(
            "completion",
            MESSAGES,
            "",
            "must be one assistant message with text",
            each(lambda messages: says(messages, "assistant")),
        ),
        text("teacher"),
        scores(),
        share("reward", "null if unknown"),
        hex_id("prompt_id"),
        hex_id("response_key"),
        one_of("part", "sft", "withheld"),
        kept_column(),
    ],
)
# Two responses to one prompt, one right and one wrong, as they are scored.
PREFERENCE_PAIRS = Table(
    "preference_pairs",
    ["prompt_id", "chosen", "rejected"],
    [
        hex_id("prompt_id"),
        text("prompt"),
        text("chosen"),
        text("rejected"),
        one_of("part", "fit", "holdout"),
        messages_column(),
    ],
)

TABLES = [SFT_DATASET, PREFERENCE_PAIRS]
