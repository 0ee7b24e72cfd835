"""The tokens that a server reports for an answer, by the names that servers use."""

from collections.abc import Mapping
from typing import Any

LARGEST = 2**31 - 1  # of a table's token counts
# Beside OpenAI's prompt_tokens_details: Anthropic's (by proxies), DeepSeek's, Moonshot's
_CACHED = ("cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens")


def usage_of(usage: Any) -> dict[str, Any]:
    """Return an ``Answer``'s token counts, and as ``metered`` whether the server reported them.

    Reasoning counts as completion, even if the server reports it separately (xAI, Gemini).
    """
    counts = usage if isinstance(usage, dict) else {}
    prompt, completion = _count(counts, "prompt_tokens"), _count(counts, "completion_tokens")
    total = _count(counts, "total_tokens")
    metered = prompt is not None and completion is not None
    prompt, completion = prompt or 0, completion or 0
    if metered and total is not None:
        completion = max(completion, total - prompt)
    cached = _cached(counts)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "cached_prompt_tokens": None if cached is None else min(cached, prompt),
        "metered": metered,
    }


def _cached(counts: Mapping[str, Any]) -> int | None:
    details = counts.get("prompt_tokens_details")
    found = [_count(details, "cached_tokens") if isinstance(details, dict) else None]
    found += [_count(counts, name) for name in _CACHED]
    return next((count for count in found if count is not None), None)


def _count(counts: Mapping[str, Any], name: str) -> int | None:
    value = counts.get(name)
    return value if type(value) is int and 0 <= value <= LARGEST else None
