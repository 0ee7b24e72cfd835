"""What is read out of servers' completions, as data."""

from typing import Any

import pytest

from persyn_kedro.domain.engines.replies.completions import Answer, answer_of
from tests.support.endpoint import completion


def answered(body: dict[str, Any], unknown_is: str = "length") -> Answer:
    answer = answer_of(body, 512, unknown_is)
    assert answer is not None
    return answer


@pytest.mark.parametrize(
    ("reason", "meant"),
    [
        *((r, "stop") for r in ("stop", "STOP", "eos", "eos_token", "end_turn", "stop_sequence",
                                "<|eot_id|>", "<|im_end|>", "</s>", "FINISH_REASON_STOP", "",
                                None, "StopSequence", "FinishReason.STOP", "EOS_TOKEN_ID",
                                {"type": "eos_token"}, {"type": "stop", "matched": 2})),
        *((r, "length") for r in ("length", "max_tokens", "MAX_TOKENS", "model_length", "limit",
                                  "max_output_tokens", "model_context_window_exceeded", "MaxTokens",
                                  "FinishReason.MAX_TOKENS", {"type": "length", "length": 9})),
    ],
)  # fmt: skip
def test_a_known_finish_reason_is_stop_or_length(reason: Any, meant: str) -> None:
    answer = answered(completion("p", finish_reason=reason))
    assert (answer.text, answer.finish_reason) == ("echo p", meant)
    assert answer.unknown_reason is None and answer.error is None


def test_an_unknown_finish_reason_keeps_the_text_and_counts_as_the_settings_say() -> None:
    body = completion("p", finish_reason="turn: over!")
    for reason in ("<tool_call>", "<|python_tag|>", "<function=f>"):
        assert answered(completion("p", finish_reason=reason)).unknown_reason is not None
    for setting in ("stop", "length"):
        answer = answered(body, setting)
        assert (answer.text, answer.finish_reason) == ("echo p", setting)
        assert answer.unknown_reason == "turn_over"
    assert answered(body).finish_reason == "length", "not known to be whole"
    full = {"prompt_tokens": 11, "completion_tokens": 512}
    for reason in ("over", None):  # all the tokens that it might have
        answer = answered({**completion("p", finish_reason=reason), "usage": full})
        assert (answer.finish_reason, answer.unknown_reason) == ("length", None)


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "error", "abort", "recitation"])
def test_what_was_withheld_or_broken_off_is_no_answer(reason: str) -> None:
    answer = answered(completion("p", finish_reason=reason))
    assert (answer.text, answer.finish_reason) == ("", "error")
    assert answer.error == f"finish reason {reason}" and answer.completion_tokens == 5


@pytest.mark.parametrize(
    ("message", "text", "error"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab", None),
        ({"content": ["a", {"type": "output_text", "text": "b"}]}, "ab", None),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                      {"type": "text", "text": "7"}]}, "<think>hm</think>\n7", None),
        ({"content": "7", "reasoning": "hm"}, "<think>hm</think>\n7", None),
        ({"content": None, "tool_calls": [{"function": {"name": "add"}}]}, "",
         "called a tool (add) and wrote no text"),
        ({"content": "", "function_call": {"name": "add"}}, "",
         "called a tool (add) and wrote no text"),
        ({"content": None, "tool_calls": [{}]}, "", "called a tool (unnamed) and wrote"),
        ({"content": [{"type": "image_url", "image_url": {}}]}, "", "the answer is not text"),
        ({"content": 7}, "", "the answer is not text: 7"),
        ({"content": None, "refusal": "No."}, "", "refused: No."),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "", "refused: No."),
        ({"content": ""}, "", None),
    ],
)  # fmt: skip
def test_a_messages_text_is_found(message: dict[str, Any], text: str, error: str | None) -> None:
    answer = answered(completion("p", message={"role": "assistant", **message}))
    assert answer.text == text and (answer.error or "").startswith(error or "")
    assert (answer.finish_reason == "error") == (error is not None) == (answer.error is not None)
    assert (answer.prompt_tokens, answer.completion_tokens) == (11, 5), "it was paid for"


def test_a_completion_that_is_no_chats_has_its_text_in_the_choice() -> None:
    choice = {"index": 0, "text": " 7", "finish_reason": "stop"}
    answer = answered({**completion("p"), "choices": [choice]})
    assert (answer.text, answer.finish_reason, answer.completion_tokens) == (" 7", "stop", 5)


@pytest.mark.parametrize("reason", [None, "", "tool_calls", "whatever"])
def test_no_text_and_no_known_end_is_an_error(reason: str | None) -> None:
    body = completion("p", finish_reason=reason, message={"content": None})
    assert "no text" in str(answered(body).error)


@pytest.mark.parametrize("usage", [None, {}, [], {"prompt_tokens": "3", "completion_tokens": 2.5},
                                   {"prompt_tokens": 2**31, "completion_tokens": -1}])  # fmt: skip
def test_an_odd_usage_is_an_unknown_one(usage: Any) -> None:
    answer = answered({**completion("p"), "usage": usage})
    assert not answer.metered and (answer.prompt_tokens, answer.completion_tokens) == (0, 0)
