"""Read an answer in the form of Anthropic's Messages API, by making it a chat completion."""

from collections.abc import Mapping
from typing import Any

_PROMPT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def as_completion(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message as a chat completion; its input tokens do not count those of the cache."""
    content = {"role": "assistant", "content": message.get("content")}
    choice = {"message": content, "finish_reason": message.get("stop_reason")}
    return {"choices": [choice], "usage": _usage(message.get("usage"))}


def _usage(usage: Any) -> dict[str, Any]:
    counts = usage if isinstance(usage, dict) else {}
    if counts.get("input_tokens") is None:
        return {}
    cached = counts.get("cache_read_input_tokens")
    return {
        "prompt_tokens": sum(counts.get(name) or 0 for name in _PROMPT),
        "completion_tokens": counts.get("output_tokens"),
        **({} if cached is None else {"prompt_tokens_details": {"cached_tokens": cached}}),
    }
