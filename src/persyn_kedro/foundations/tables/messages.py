"""Messages in tables, and prompts as the columns ``prompt`` and ``messages``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from persyn_kedro.foundations.prompts.conversation import (
    ROLES,
    Message,
    Prompt,
    as_prompt,
    as_rows,
    from_rows,
)
from persyn_kedro.foundations.tables.declare import Column

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
MESSAGES = pa.list_(MESSAGE)
PROMPT = ["prompt", "messages"]  # the columns of a prompt
"""``messages`` is null where ``prompt`` is all of it, else ``prompt`` is a transcript of them."""


def prompt_of(row: Mapping[str, Any]) -> Prompt:
    """Return the prompt of a row with the columns ``PROMPT``."""
    messages = row["messages"]
    return row["prompt"] if messages is None else as_prompt(from_rows(messages))


def prompts_of(rows: pa.Table | pa.RecordBatch) -> list[Prompt]:
    """Return the prompts of rows with the columns ``PROMPT``."""
    texts = rows["prompt"].to_pylist()
    if rows["messages"].null_count == len(texts):
        return texts
    pairs = zip(texts, rows["messages"].to_pylist(), strict=True)
    return [prompt_of({"prompt": text, "messages": messages}) for text, messages in pairs]


def columns_of(prompt: Prompt) -> dict[str, Any]:
    """Return the columns ``PROMPT`` of a prompt."""
    messages = None if isinstance(prompt, str) else as_rows(prompt.messages)
    return {"prompt": str(prompt), "messages": messages}


def message_lists(chats: Sequence[Sequence[Message]]) -> pa.ListArray:
    """Return each chat as a list of messages, (n,) of type ``MESSAGES``."""
    ends = [0]
    for chat in chats:
        ends.append(ends[-1] + len(chat))
    roles = pa.array([message.role for chat in chats for message in chat], pa.string())
    contents = pa.array([message.content for chat in chats for message in chat], pa.string())
    messages = pa.StructArray.from_arrays([roles, contents], fields=list(MESSAGE))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), messages)


def messages_column(name: str = "messages") -> Column:
    """Declare the column ``messages`` beside ``prompt``."""
    return Column(
        name,
        MESSAGES,
        "of a conversation; null where the prompt is a text",
        "must be a conversation that ends with the user's message",
        each(is_prompt),
        null=True,
    )


def kept_column() -> Column:
    """Declare the column of what else a prompt's row had, and of ``prepare.sources``."""
    return Column("kept", pa.string(), "JSON object of the kept columns, or null", null=True)


def each(holds: Callable[[list[dict[str, str]]], bool]) -> Callable[[Any], Any]:
    """Return a rule on a column of messages from one on the messages of a row."""
    return lambda column: column.map(lambda m: None not in m and holds(m)).astype(bool)


def is_prompt(messages: list[dict[str, str]]) -> bool:
    """Return whether these are messages that an assistant can answer.

    A system message may be empty: that is how to omit a template's own default.
    """
    if any(message["role"] not in ROLES[place > 0 :] for place, message in enumerate(messages)):
        return False
    return all(m["content"] is not None for m in messages) and says(messages[-1:], "user")


def says(messages: list[dict[str, str]], role: str) -> bool:
    """Return whether these are one message of this role, with text."""
    return [m["role"] for m in messages] == [role] and bool((messages[0]["content"] or "").strip())
