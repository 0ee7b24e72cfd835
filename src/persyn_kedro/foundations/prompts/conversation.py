"""A prompt is a text, or a conversation that ends with the user's message."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from persyn_kedro.foundations.hashing import data_id, text_id

ROLES = ("system", "user", "assistant", "tool")  # the first may only come first
RowSystem = Literal["join", "row", "teacher"]
"""How a conversation's own system message meets a teacher's: both, the teacher's first, separated
by a blank line; its own, if it has one; the teacher's alone."""
SystemOrder = RowSystem | Literal["row_first"]
"""As the student is asked: both, the conversation's own first."""

_NO_TEXT = b"\xff"  # in no UTF-8: no text has the bytes of a conversation


class Message(NamedTuple):
    """A message: its role (one of ``ROLES``) and its text."""

    role: str
    content: str


@dataclass(frozen=True)
class Conversation:
    """Messages in order: at most one of the system, which is the first; the last is the user's.

    One user message alone is not a conversation but its text (``as_prompt``).
    """

    messages: tuple[Message, ...]

    def __str__(self) -> str:
        """Return a transcript for people; nothing parses it."""
        return "\n\n".join(f"{m.role.capitalize()}: {m.content}" for m in self.messages)


Prompt = str | Conversation


def as_prompt(messages: Iterable[Message]) -> Prompt:
    """Return these messages as a prompt."""
    found = tuple(messages)
    if [message.role for message in found] == ["user"]:
        return found[0].content
    return Conversation(found)


def messages_of(prompt: Prompt) -> tuple[Message, ...]:
    """Return a prompt's own messages; a text is one of the user's."""
    return (Message("user", prompt),) if isinstance(prompt, str) else prompt.messages


def own_system(prompt: Prompt) -> str | None:
    """Return a prompt's own system message, or None."""
    first = messages_of(prompt)[0]
    return first.content if first.role == "system" else None


def with_system(
    prompt: Prompt, system: str | None, order: SystemOrder = "join"
) -> tuple[Message, ...]:
    """Return all messages of a prompt that is asked with a ``system`` message (None: without)."""
    own = own_system(prompt)
    messages = messages_of(prompt)[0 if own is None else 1 :]
    met = {
        "join": (system, own),
        "row_first": (own, system),
        "row": (system if own is None else own,),
        "teacher": (system,),
    }
    given = [text for text in met[order] if text is not None]
    if not given:
        return messages
    return Message("system", "\n\n".join(filter(None, given))), *messages


def prompt_id_of(prompt: Prompt) -> str:
    """Return the 32 hex digits that identify a prompt: a hash of its text, or of its messages."""
    if isinstance(prompt, str):
        return text_id(prompt)
    told = json.dumps(as_json(prompt), sort_keys=True, ensure_ascii=False)
    return data_id(_NO_TEXT + told.encode())


def as_json(prompt: Prompt) -> str | list[dict[str, str]]:
    """Return a prompt as a JSON value: its text, or its messages."""
    return prompt if isinstance(prompt, str) else as_rows(prompt.messages)


def as_rows(messages: Iterable[Message]) -> list[dict[str, str]]:
    """Return messages as objects with ``role`` and ``content``."""
    return [message._asdict() for message in messages]


def from_rows(rows: Iterable[Mapping[str, str]]) -> tuple[Message, ...]:
    """Return the messages of objects with ``role`` and ``content``."""
    return tuple(Message(row["role"], row["content"]) for row in rows)
