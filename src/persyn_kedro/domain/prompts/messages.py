"""Conversations as files have them: OpenAI's messages, or ShareGPT's conversations."""

from collections.abc import Mapping, Sequence
from typing import Any

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import is_unicode
from persyn_kedro.foundations.prompts.conversation import ROLES, Message, Prompt, as_prompt

_SHAREGPT = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "tool",
}
_FORMS: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("role", "content", dict(zip(ROLES, ROLES, strict=True))),
    ("from", "value", _SHAREGPT),
)
_MAY_BE_EMPTY = ("system", "tool")


def read_messages(value: Any, where: str) -> list[Message]:
    """Return the messages of a list of objects, each in OpenAI's form or in ShareGPT's.

    Args:
        where: the row, as an error begins, such as "Row 3 of chats.jsonl".

    Raises:
        PersynError: it is no such list, a message has anything but text, or the system's messages
            are not one at the beginning.
    """
    if not isinstance(value, list | tuple):
        raise PersynError(
            f"{where} has no list of messages, but {_kind(value)}: give objects with role and "
            "content, or with from and value."
        )
    messages = [_message(item, f"{where}, message {n}") for n, item in enumerate(value, start=1)]
    if not messages:
        raise PersynError(f"{where} has an empty conversation; remove it.")
    systems = [n for n, message in enumerate(messages, start=1) if message.role == "system"]
    if len(systems) > 1:
        raise PersynError(f"{where} has {len(systems)} system messages; merge them into one.")
    if systems not in ([], [1]):
        raise PersynError(
            f"{where}, message {systems[0]} is the system's, which must come first; move it."
        )
    return messages


def asked_prompt(messages: Sequence[Message], where: str) -> Prompt:
    """Return the prompt that these messages are.

    Raises:
        PersynError: the last is not the user's, or none is.
    """
    if all(message.role != "user" for message in messages):
        raise PersynError(f"{where} has no user message; remove it.")
    last = messages[-1].role
    if last != "user":
        raise PersynError(
            f"{where} does not end with the user's message, but with the {last}'s; remove what "
            "follows the user's last message."
        )
    return as_prompt(messages)


def _message(item: Any, where: str) -> Message:
    if not isinstance(item, Mapping):
        raise PersynError(f"{where} is not an object with role and content, but {_kind(item)}.")
    form = next((form for form in _FORMS if item.get(form[0]) is not None), None)
    if form is None:
        raise PersynError(f"{where} has neither a role nor a from (its keys: {_listed(item)}).")
    role_key, content_key, known = form
    role = known.get(str(item[role_key]))
    if role is None:
        names = ", ".join(known)
        raise PersynError(f"{where} has unknown role {item[role_key]!r}; known: {names}.")
    if item.get("tool_calls") or item.get("function_call"):
        raise PersynError(f"{where} calls a tool; only text messages are supported.")
    content = _text(item.get(content_key), where)
    if not content.strip() and role not in _MAY_BE_EMPTY:
        raise PersynError(f"{where} is empty; remove it.")
    if not is_unicode(content):
        raise PersynError(f"{where} has invalid Unicode (a lone surrogate).")
    return Message(role, content)


def _text(content: Any, where: str) -> str:
    """Return a message's text; its parts are joined."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple):
        raise PersynError(f"{where} has no text, but {_kind(content)}.")
    return "".join(_part(part, where) for part in content)


def _part(part: Any, where: str) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    text = part.get("text") if kind == "text" else None
    if isinstance(text, str):
        return text
    raise PersynError(f"{where} has a part of type {kind!r}; only text is supported.")


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, str | list):
        return "a text" if isinstance(value, str) else "a list"
    return f"a value of type {type(value).__name__}"


def _listed(item: Mapping[str, Any]) -> str:
    return ", ".join(map(str, item)) or "none"
