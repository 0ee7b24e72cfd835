"""vLLM on a device answers as Transformers does there."""

import importlib.util

import pytest

from persyn_kedro.domain.engines import Generation, Request, engine_of
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("vllm"), reason="vLLM is not installed"
)


def answers(name: str, model: ResolvedModel, requests: list[Request]) -> dict[str, Generation]:
    more = {"vllm": {"enforce_eager": True}} if name == "vllm" else {}
    settings = EngineSettings(
        name=name, max_model_len=256, max_num_seqs=8, gpu_memory_utilization=0.5, **more
    )
    engine = engine_of(model, settings)
    env = engine.environment(engine.settings)
    made = run_in_child(engine.generate, label=name, env=env, feed=iter(requests))
    return {answer.key: answer for answer in made}


def test_greedy_answers_are_those_of_transformers(
    device: str, bfloat16_model: ResolvedModel
) -> None:
    """But for near ties, which bfloat16 may turn: random weights have some."""
    greedy = SamplingSettings(temperature=0.0, max_new_tokens=8)
    sampled = SamplingSettings(temperature=1.0, max_new_tokens=8)
    asked = [
        Request(f"{name} {i}", f"Name {i} animals. " * (1 + i % 4), None, how, i)
        for name, how in (("greedy", greedy), ("sampled", sampled))
        for i in range(16)
    ]
    found, again = answers("vllm", bfloat16_model, asked), answers("vllm", bfloat16_model, asked)
    wanted = answers("transformers", bfloat16_model, asked[:16])
    assert found.keys() == {request.key for request in asked}
    assert all(answer.error is None for answer in found.values())
    same = [found[key].response == answer.response for key, answer in wanted.items()]
    assert sum(same) >= 12, (found, wanted)
    repeated = [found[key].response == answer.response for key, answer in again.items()]
    assert sum(repeated) >= 28  # a seed gives the same sample
    assert len({answer.response for key, answer in found.items() if "sampled" in key}) > 8
