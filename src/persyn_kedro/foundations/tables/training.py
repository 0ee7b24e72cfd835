"""Tables for training a student or a reward model."""

from persyn_kedro.foundations.tables.declare import (
    Between,
    Column,
    Table,
    finite,
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


def prompt_messages() -> Column:
    """Declare the column ``prompt`` of messages that an assistant can answer."""
    told = "must end with a user message with text, and only begin with a system message"
    return Column("prompt", MESSAGES, "", told, each(is_prompt))


def answer_message(name: str) -> Column:
    """Declare a column of an assistant's answer, as a list of one message."""
    told = "must be one assistant message with text"
    return Column(name, MESSAGES, "", told, each(lambda messages: says(messages, "assistant")))


SFT_DATASET = Table(
    "sft_dataset",
    ["prompt_id", "response_key"],
    [
        prompt_messages(),
        answer_message("completion"),
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
# Two answers to one prompt, in TRL's preference format, and by how much one is better.
PREFERENCES = Table(
    "preferences",
    ["prompt_id", "response_key_chosen", "response_key_rejected"],
    [
        prompt_messages(),
        answer_message("chosen"),
        answer_message("rejected"),
        finite("margin", "score_chosen - score_rejected, above 0"),
        finite("score_chosen", "its reward or its quality, as export.preferences.by says"),
        finite("score_rejected"),
        text("teacher_chosen"),
        text("teacher_rejected"),
        hex_id("response_key_chosen"),
        hex_id("response_key_rejected"),
        hex_id("prompt_id"),
    ],
    [Between("margin", "must be above 0", lambda f: f["margin"] > 0)],
)

TABLES = [SFT_DATASET, PREFERENCE_PAIRS, PREFERENCES]
