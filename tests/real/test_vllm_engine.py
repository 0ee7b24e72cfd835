"""vLLM itself, where it is installed."""

import importlib.util

import pytest

from persyn_kedro.domain.teachers import vllm_engine
from persyn_kedro.domain.teachers.engine import Request
from persyn_kedro.foundations.child_process import run_in_child
from persyn_kedro.foundations.model_parameters import (
    EngineSettings,
    ModelSettings,
    SamplingSettings,
)
from persyn_kedro.foundations.weights import resolve_model

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not importlib.util.find_spec("vllm"), reason="vLLM is not installed"),
]


def test_many_seeded_prompts_at_once_are_all_answered() -> None:
    """Together more tokens than a step of vLLM has room for: it would split the last prompt."""
    sampling = SamplingSettings(temperature=0.7, max_new_tokens=2)
    text = "Count the apples and the pears. " * 10
    requests = [Request(f"{i}", f"{i} {text}", None, sampling, i) for i in range(70)]
    model = resolve_model("smollm2", ModelSettings(zoo="smollm2"))
    engine = EngineSettings(max_model_len=512)
    answers = list(
        run_in_child(
            vllm_engine.generate,
            requests,
            model,
            engine,
            label="vllm",
            env=vllm_engine.environment(engine),
        )
    )
    assert {answer.key for answer in answers} == {request.key for request in requests}
    assert all(answer.error is None and answer.completion_tokens for answer in answers)
    assert sum(answer.prompt_tokens for answer in answers) > 4096
