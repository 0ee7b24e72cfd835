"""What servers say that an answer took, in their own words."""

from typing import Any

import pytest

from persyn_kedro.domain.engines.replies.completions import Answer
from tests.support.endpoint import completion
from tests.support.replies import read


def took(**usage: Any) -> tuple[int, int, int | None, bool]:
    reply = read(200, {**completion("p"), "usage": usage})
    assert isinstance(reply, Answer)
    return (
        reply.prompt_tokens,
        reply.completion_tokens,
        reply.cached_prompt_tokens,
        reply.metered,
    )


@pytest.mark.parametrize(
    ("usage", "cached"),
    [
        ({}, None),
        ({"prompt_tokens_details": None}, None),
        ({"prompt_tokens_details": {"cached_tokens": None}}, None),
        ({"prompt_tokens_details": {"cached_tokens": 0}}, 0),
        ({"prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0}}, 1024),
        ({"cache_read_input_tokens": 900, "cache_creation_input_tokens": 30}, 900),
        ({"prompt_cache_hit_tokens": 1280, "prompt_cache_miss_tokens": 10}, 1280),
        ({"cached_tokens": 64}, 64),
        ({"prompt_tokens_details": {"cached_tokens": 7}, "cache_read_input_tokens": 7}, 7),
        ({"prompt_tokens_details": {"cached_tokens": "7"}}, None),
        ({"prompt_tokens_details": {"cached_tokens": -1}}, None),
        ({"cache_read_input_tokens": 5000}, 1290),  # that server's prompt_tokens leave them out
    ],
)
def test_cached_tokens_of_the_prompt(usage: dict[str, Any], cached: int | None) -> None:
    assert took(prompt_tokens=1290, completion_tokens=4, **usage) == (1290, 4, cached, True)


@pytest.mark.parametrize(
    ("usage", "completion_tokens"),
    [
        # OpenAI's: among completion_tokens
        ({"total_tokens": 350, "completion_tokens_details": {"reasoning_tokens": 300}}, 340),
        # xAI's and Gemini's: beside them
        ({"total_tokens": 650, "completion_tokens_details": {"reasoning_tokens": 300}}, 640),
        ({"total_tokens": 650}, 640),
        ({"total_tokens": 2}, 340),
        ({"total_tokens": "650"}, 340),
    ],
)
def test_tokens_of_reasoning_count(usage: dict[str, Any], completion_tokens: int) -> None:
    found = took(prompt_tokens=10, completion_tokens=340, **usage)
    assert found == (10, completion_tokens, None, True)


def test_a_total_alone_says_nothing() -> None:
    assert took(total_tokens=16) == (0, 0, None, False)
