"""Tables for training a student or a reward model."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from persyn_kedro.foundations.tables.declare import (
    Column,
    Table,
    hex_id,
    one_of,
    scores,
    share,
    text,
)

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
MESSAGES = pa.list_(MESSAGE)


def _each(holds: Callable[[list[dict[str, str]]], bool]) -> Callable[[Any], Any]:
    return lambda column: column.map(lambda m: None not in m and holds(m)).astype(bool)


def _is_prompt(messages: list[dict[str, str]]) -> bool:
    """A system message may be empty: that is how to omit a template's own default."""
    if len(messages) == 2 and messages[0]["role"] == "system":
        return messages[0]["content"] is not None and _says(messages[1:], "user")
    return _says(messages, "user")


def _is_completion(messages: list[dict[str, str]]) -> bool:
    return _says(messages, "assistant")


def _says(messages: list[dict[str, str]], role: str) -> bool:
    return [m["role"] for m in messages] == [role] and bool((messages[0]["content"] or "").strip())


SFT_DATASET = Table(
    "sft_dataset",
    ["prompt_id"],
    [
        Column(
            "prompt",
            MESSAGES,
            "",
            "must be one user message with text, after at most one system message",
            _each(_is_prompt),
        ),
        Column(
            "completion",
            MESSAGES,
            "",
            "must be one assistant message with text",
            _each(_is_completion),
        ),
        text("teacher"),
        scores(),
        share("reward", "null if unknown"),
        hex_id("prompt_id"),
        hex_id("response_key"),
        one_of("part", "sft", "withheld"),
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
    ],
)

TABLES = [SFT_DATASET, PREFERENCE_PAIRS]
