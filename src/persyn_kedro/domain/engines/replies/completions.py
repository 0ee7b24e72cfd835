"""Read a server's chat completion (a JSON object with choices): text, finish reason and usage."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from persyn_kedro.domain.engines.replies.finish_reasons import meaning, told, word_of
from persyn_kedro.domain.engines.replies.usage import usage_of


@dataclass(frozen=True)
class Answer:
    """A server's answer, which is charged for.

    Attributes:
        finish_reason: stop | length | error.
        error: why there is no text; None unless ``finish_reason`` is error.
        unknown_reason: the server's finish reason if it is not a known one; ``finish_reason`` is
            then what the endpoint's settings map it to.
        metered: whether the server reported the usage.
        cached_prompt_tokens: prompt tokens read from its cache; None if it does not report them.
    """

    text: str
    finish_reason: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str | None = None
    unknown_reason: str | None = None
    metered: bool = True
    cached_prompt_tokens: int | None = None


def answer_of(body: Mapping[str, Any], most: int, unknown_is: str) -> Answer | None:
    """Return the first choice's answer; None if there is no choice or it has no message.

    Args:
        most: the token limit of the answer; one that reaches it counts as cut off, unless the
            server says how it ended.
        unknown_is: what an unknown finish reason counts as, stop or length.
    """
    choice = _choice(body)
    message = _message(choice)
    if message is None:
        return None
    took = usage_of(body.get("usage"))
    content, thinking, refusal = _content(message)
    reason = _reason(choice)
    known = meaning(reason)
    why = _why_not(message, choice, content, thinking, reason, known, refusal)
    if why is not None:
        return Answer("", "error", error=why, **took)
    # The server has split off the thinking: put it back
    text = f"<think>{thinking}</think>\n{content}" if thinking else content
    if known is not None:
        return Answer(text, known, **took)
    if took["completion_tokens"] >= most:
        return Answer(text, "length", **took)
    if not reason:  # some servers give no reason for an answer that ended normally
        return Answer(text, "stop", **took)
    return Answer(text, unknown_is, unknown_reason=told(reason), **took)


def failed_part(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the first choice or the body if it has an error and there is no text.

    OpenRouter reports errors in both. A response withheld by, for example, a content filter is not
    failed: it is final.
    """
    choice = _choice(body)
    message = _message(choice)
    reason = _reason(choice)
    withheld = meaning(reason) == "error" and reason.lower() != "error"
    failed = choice if choice.get("error") else body
    if not failed.get("error") or (
        message is not None and (_content(message)[0].strip() or withheld)
    ):
        return None
    return failed


def _choice(body: Mapping[str, Any]) -> dict[str, Any]:
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _reason(choice: dict[str, Any]) -> str:
    return word_of(choice.get("finish_reason")) or ("error" if choice.get("error") else "")


def _message(choice: dict[str, Any]) -> dict[str, Any] | None:
    """Return a choice's message; a completion without chat has its text in the choice."""
    message, text = choice.get("message"), choice.get("text")
    if isinstance(message, dict):
        return message
    return {"content": text} if isinstance(text, str) else None


def _why_not(
    message: dict[str, Any],
    choice: dict[str, Any],
    content: str,
    thinking: str,
    reason: str,
    known: str | None,
    refusal: str,
) -> str | None:
    """Return why there is no usable text; None if there is."""
    if refusal:
        return f"refused: {refusal}"
    if known == "error":
        error = choice.get("error")
        words = error.get("message") if isinstance(error, dict) else error
        return f"finish reason {reason}" + (f": {words}" if words else "")
    if content.strip():
        return None
    if message.get("tool_calls") or message.get("function_call"):
        return f"called a tool ({_tools(message)}) and wrote no text"
    odd = message.get("content")
    if odd and not content:
        return f"the answer is not text: {str(odd)[:100]}"
    if known is None and not thinking:
        return f"finish reason {reason} and no text" if reason else "no text and no finish reason"
    return None


def _tools(message: dict[str, Any]) -> str:
    calls = message.get("tool_calls")
    calls = calls if isinstance(calls, list) else []
    functions = [call.get("function") for call in calls if isinstance(call, dict)]
    functions.append(message.get("function_call"))
    names = [str(f["name"]) for f in functions if isinstance(f, dict) and f.get("name")]
    return ", ".join(names[:3]) or "unnamed"


def _content(message: dict[str, Any]) -> tuple[str, str, str]:
    """Return text, thinking and refusal of a message, whose content may be a list of parts."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    found = {"text": "", "thinking": "", "refusal": ""}
    for part in parts:
        kind = _kind(part)
        found[kind] += _text(part, kind)
    for kind, names in (
        ("thinking", ("reasoning_content", "reasoning")),
        ("refusal", ("refusal",)),
    ):
        beside = (message.get(name) for name in names)
        found[kind] = next((t for t in beside if t and isinstance(t, str)), found[kind])
    return found["text"], found["thinking"], found["refusal"]


def _kind(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    return {"thinking": "thinking", "reasoning": "thinking", "refusal": "refusal"}.get(
        kind if isinstance(kind, str) else "", "text"
    )


def _text(part: Any, kind: str) -> str:
    if isinstance(part, str):
        return part
    values = [part.get(name) for name in (kind, "text")] if isinstance(part, dict) else []
    for value in values:
        if isinstance(value, list):  # thinking may be a list of parts itself
            return "".join(_text(inner, "text") for inner in value)
        if isinstance(value, str):
            return value
    return ""
