"""What a hosted model is sent: only what is set, and nothing that it may not know."""

from typing import Any

import pytest

from persyn_kedro.domain.engines.arguments import body_of, extra_headers, secrets
from persyn_kedro.domain.engines.base import Request
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings

ALWAYS = {"model": "m", "messages": [{"role": "user", "content": "2+2?"}]}
PLAIN = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 512, "seed": 5}


def sent(
    sampling: dict[str, Any] | None = None, template: dict[str, Any] | None = None, **endpoint: Any
) -> dict[str, Any]:
    model = ModelSettings(
        endpoint={"url": "http://h/v1", "model": "m", **endpoint},  # type: ignore[arg-type]
        template_arguments=template or {},
    )
    request = Request("k", "2+2?", None, SamplingSettings(**sampling or {}), seed=5 + 2**31)
    return body_of(request, model)


def test_what_is_sent_by_default() -> None:
    assert sent() == {**ALWAYS, **PLAIN}


@pytest.mark.parametrize("name", ["temperature", "top_p", "seed"])
def test_what_is_null_is_not_sent(name: str) -> None:
    assert sent({name: None}) == {**ALWAYS, **{k: v for k, v in PLAIN.items() if k != name}}


def test_a_reasoning_model_can_be_sent_its_limit_alone() -> None:
    nothing = dict.fromkeys(("temperature", "top_p", "top_k", "repetition_penalty", "seed"))
    found = sent({**nothing, "max_new_tokens": 9}, max_tokens_parameter="max_completion_tokens")
    assert found == {**ALWAYS, "max_completion_tokens": 9}


@pytest.mark.parametrize("same", [0, None])
def test_what_openai_does_not_know_is_sent_where_it_changes_something(same: int | None) -> None:
    changed = {"top_k": 3, "repetition_penalty": 1.1}
    assert sent(changed) == {**ALWAYS, **PLAIN, **changed}
    unchanged = {"top_k": same, "repetition_penalty": 1.0 if same == 0 else None}
    assert sent(unchanged) == {**ALWAYS, **PLAIN}


def test_the_extra_body_is_merged_with_ours() -> None:
    body = {"reasoning_effort": "low", "provider": {"order": ["a"]}}
    found = sent({"top_k": 3}, {"enable_thinking": False}, extra_body=body)
    ours = {"top_k": 3, "chat_template_kwargs": {"enable_thinking": False}}
    assert found == {**ALWAYS, **PLAIN, **ours, **body}


def test_headers_have_their_values_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1\n")
    monkeypatch.setenv("MY_TENANT", " tenant-7 ")
    given = {"api_key_env": "MY_KEY", "extra_headers": {"X-Tenant": "MY_TENANT"}}
    endpoint = ModelSettings(endpoint={"url": "http://h/v1", "model": "m", **given}).endpoint  # type: ignore[arg-type]
    assert endpoint is not None
    assert extra_headers(endpoint) == {"X-Tenant": "tenant-7"}
    assert secrets(endpoint) == ["sk-1", "tenant-7"]
