"""vLLM itself, where it is installed."""

import importlib.util

import pytest

from persyn_kedro.domain.engines import ray as ray_engine, vllm as vllm_engine
from persyn_kedro.domain.engines.base import Request
from persyn_kedro.foundations.models.resolve import resolve_model
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.processes.ray.cluster import reachable
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.models import EngineSettings, ModelSettings, SamplingSettings

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not importlib.util.find_spec("vllm"), reason="vLLM is not installed"),
]


def test_many_seeded_prompts_at_once_are_all_answered() -> None:
    """Together more tokens than a step of vLLM has room for: it would split the last prompt.

    Those behind the first 128, which are set aside, are asked for all the same.
    """
    sampling = SamplingSettings(temperature=0.7, max_new_tokens=2)
    text = "Count the apples and the pears. " * 10
    made = [Request(f"{i}", f"{i} {text}", None, sampling, i) for i in range(150)]
    long = [Request(f"long {i}", 9 * text, None, sampling, i) for i in range(130)]
    model = resolve_model("smollm2", ModelSettings(zoo="smollm2"))
    engine = EngineSettings(max_model_len=512, max_num_seqs=64)
    answers = list(
        run_in_child(
            vllm_engine.generate,
            model,
            engine,
            label="vllm",
            env=vllm_engine.environment(engine),
            feed=iter([*long, *made]),
        )
    )
    assert len(answers) == len(long) + len(made)
    fine = [answer for answer in answers if answer.error is None and answer.completion_tokens]
    assert {answer.key for answer in fine} == {request.key for request in made}
    assert sum(answer.prompt_tokens for answer in fine[:64]) > 4096


def test_vllm_on_a_ray_cluster_gives_the_same_and_an_error_stays_a_row() -> None:
    """One prompt at a time, since what runs together moves bfloat16 by rounding."""
    sampling = SamplingSettings(temperature=0.7, max_new_tokens=12)
    requests = [
        Request(f"{i}", f"Name {i} animals.", "Be brief.", sampling, i) for i in range(2, 8)
    ]
    impossible = SamplingSettings.model_construct(**{**sampling.model_dump(), "temperature": -1.0})
    bad = Request("bad", "Name an animal.", None, impossible, 1)
    model = resolve_model("smollm2", ModelSettings(zoo="smollm2"))
    engine = EngineSettings(max_model_len=256, max_num_seqs=1, chunk_size=2)
    here = run_in_child(
        vllm_engine.generate,
        requests,
        model,
        engine,
        label="vllm",
        env=vllm_engine.environment(engine),
    )
    local = {answer.key: answer for answer in here}
    cluster = reachable(ClusterSettings(address="local"))
    # The last chunk holds nothing but the one that fails.
    there = run_in_child(
        ray_engine.generate, model, engine, cluster, label="ray", feed=[*requests, bad]
    )
    found = {answer.key: answer for answer in there}
    assert "temperature" in str(found.pop("bad").error)
    assert found == local
    assert all(answer.error is None and answer.response for answer in found.values())
