"""Map the finish reasons of many servers to stop, length or error."""

import re
from typing import Any

STOP = {
    "stop", "eos", "eos_token", "eos_token_id", "eos_found", "end", "end_turn", "end_of_turn",
    "end_of_text", "stop_sequence", "stop_token", "stop_word", "stop_str", "stop_string",
    "complete", "completed", "finish", "finished", "done", "natural", "normal",
}  # fmt: skip
LENGTH = {
    "length", "limit", "max_tokens", "maxtokens", "max_token", "max_new_tokens", "max_length",
    "max_output_tokens", "max_completion_tokens", "model_length", "length_limit", "token_limit",
    "context_length", "model_context_window_exceeded",
}  # fmt: skip
# Withheld, aborted or failed: not an answer, even if there is text.
BROKEN = {
    "content_filter", "content_filtered", "safety", "recitation", "blocklist", "spii", "sensitive",
    "prohibited_content", "guardrail_intervened", "refusal", "error", "abort", "aborted", "cancel",
    "cancelled", "canceled", "network_error", "malformed_function_call", "malformed_response",
    "insufficient_system_resource",
}  # fmt: skip
# A server's end token as the reason, such as <|eot_id|> or </s>, but not <tool_call>
_TOKEN = re.compile(r"(?!.*(?:tool|function|call|python))</?[|\uff5c]?[^<>]{1,40}>", re.I)


def word_of(reason: Any) -> str:
    """Return a server's finish reason as a word, of an object its type; "" if there is none."""
    named = reason.get("type") if isinstance(reason, dict) else None
    return str(named or reason or "")


def meaning(reason: str) -> str | None:
    """Return "stop", "length" or "error" for a finish reason; None for an unknown one."""
    if _TOKEN.fullmatch(reason.strip()):
        return "stop"
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", reason)  # StopSequence, FinishReason.STOP
    word = re.sub(r"[^a-z]+", "_", apart.lower()).strip("_").removeprefix("finish_reason_")
    for words, known in ((STOP, "stop"), (LENGTH, "length"), (BROKEN, "error")):
        if word in words:
            return known
    return None


def told(reason: str) -> str:
    """Return an unknown reason as it is recorded: only letters, truncated."""
    return re.sub(r"[^A-Za-z]+", "_", reason)[:40].strip("_") or "unreadable"
