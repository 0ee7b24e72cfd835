"""vLLM itself, where it is installed."""

import importlib.metadata
import importlib.util
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from persyn_kedro.domain.benchmarks import harness
from persyn_kedro.domain.engines import Engine, Generation, Request, engine_of
from persyn_kedro.domain.engines.resident import generate_in_child, is_loaded
from persyn_kedro.domain.quality.judge.wording import reply_schema
from persyn_kedro.foundations.models.load import load_tokenizer
from persyn_kedro.foundations.models.rendering import render_prompt
from persyn_kedro.foundations.models.resolve import resolve_model
from persyn_kedro.foundations.processes import target as cluster
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.processes.kept import keep_models
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from tests.support.clock import DATED

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not importlib.util.find_spec("vllm"), reason="vLLM is not installed"),
]


def in_child(engine: Engine, requests: list[Request]) -> Iterator[Generation]:
    env = engine.environment(engine.settings)
    return run_in_child(engine.generate, label=engine.name, env=env, feed=iter(requests))


def test_many_seeded_prompts_at_once_are_all_answered() -> None:
    """Together more tokens than a step of vLLM has room for: it would split the last prompt.

    Those behind the first 128, which are set aside, are asked for all the same.
    """
    sampling = SamplingSettings(temperature=0.7, max_new_tokens=2)
    text = "Count the apples and the pears. " * 10
    made = [Request(f"{i}", f"{i} {text}", None, sampling, i) for i in range(70)]
    long = [Request(f"long {i}", 9 * text, None, sampling, i) for i in range(130)]
    model = resolve_model("smollm2", ModelSettings(zoo="smollm2", dtype="float32"))
    engine = engine_of(model, EngineSettings(max_model_len=512, max_num_seqs=64))
    answers = list(in_child(engine, [*long, *made]))
    assert len(answers) == len(long) + len(made)
    fine = [answer for answer in answers if answer.error is None and answer.completion_tokens]
    assert {answer.key for answer in fine} == {request.key for request in made}
    assert sum(answer.prompt_tokens for answer in fine[:64]) > 4096


def test_vllm_s_server_and_the_harness_s_backend_render_as_training_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a caller hands a template changes nothing of what is fixed in it."""
    monkeypatch.setattr(importlib.metadata, "version", importlib.metadata.version)  # put back
    harness._name_vllm()
    from lm_eval.models.vllm_causallms import VLLM
    from vllm.renderers.hf import safe_apply_chat_template

    model = resolve_model(
        "m",
        ModelSettings(
            random="chat", chat_template=DATED, template_arguments={"enable_thinking": False}
        ),
    )
    tokenizer: Any = load_tokenizer(model)
    trained_on = tokenizer.decode(render_prompt(tokenizer, None, "Hi"))
    messages = [{"role": "user", "content": "Hi"}]
    for more in ({}, {"enable_thinking": True}):
        template: Any = {"chat_template": tokenizer.chat_template, "tokenize": False, **more}
        config: Any = SimpleNamespace()
        served = safe_apply_chat_template(
            config, tokenizer, messages, add_generation_prompt=True, **template
        )
        assert served == trained_on
    backend: Any = object.__new__(VLLM)
    backend.tokenizer, backend.hf_chat_template = tokenizer, tokenizer.chat_template
    backend.enable_thinking, backend.chat_template_args = None, {}
    assert backend.apply_chat_template(messages) == trained_on
    tokenizer.chat_template = "{{ 'handed' if enable_thinking is defined }}"
    backend.hf_chat_template = tokenizer.chat_template
    assert backend.apply_chat_template(messages) == "handed"  # the harness's own way
    monkeypatch.setattr(VLLM, "apply_chat_template", VLLM.apply_chat_template)  # put back
    harness._render_alike()
    assert backend.apply_chat_template(messages) == ""


@pytest.fixture
def local_cluster() -> Iterator[ClusterSettings]:
    """The cluster that a run starts for itself, ended with the test and not with the process."""
    yield ClusterSettings(address="local")
    import ray

    ray.shutdown()


def test_vllm_on_a_ray_cluster_gives_the_same_and_an_error_stays_a_row(
    local_cluster: ClusterSettings,
) -> None:
    """One prompt at a time, since what runs together moves bfloat16 by rounding."""
    sampling = SamplingSettings(temperature=0.7, max_new_tokens=12)
    requests = [
        Request(f"{i}", f"Name {i} animals.", "Be brief.", sampling, i) for i in range(2, 8)
    ]
    impossible = SamplingSettings.model_construct(**{**sampling.model_dump(), "temperature": -1.0})
    bad = Request("bad", "Name an animal.", None, impossible, 1)
    model = resolve_model("smollm2", ModelSettings(zoo="smollm2"))
    settings = EngineSettings(max_model_len=256, max_num_seqs=1, chunk_size=2)
    local = {answer.key: answer for answer in in_child(engine_of(model, settings), requests)}
    with cluster.using(local_cluster):
        engine = engine_of(model, settings.model_copy(update={"name": "ray"}))
    engine.set_up()
    # The last chunk holds nothing but the one that fails.
    there = in_child(engine, [*requests, bad])
    found = {answer.key: answer for answer in there}
    assert "temperature" in str(found.pop("bad").error)
    assert found == local
    assert all(answer.error is None and answer.response for answer in found.values())


def test_a_schema_of_the_reply_is_followed_even_by_random_weights() -> None:
    model = resolve_model("m", ModelSettings(random="chat"))
    sampling = SamplingSettings(temperature=1.0, max_new_tokens=40)
    schema = reply_schema("better", {"type": "integer", "enum": [0, 1, 2]})
    short = json.dumps({**json.loads(schema), "properties": {"better": {"enum": [0, 1, 2]}},
                        "required": ["better"]})  # fmt: skip
    made = [
        Request(f"{n}", "Which is better?", None, sampling, n, reply_schema=short) for n in range(4)
    ]
    engine = engine_of(model, EngineSettings(name="vllm", max_model_len=256, max_num_seqs=4))
    for found in in_child(engine, made):
        assert found.error is None and found.finish_reason == "stop"
        assert json.loads(found.response) in [{"better": better} for better in (0, 1, 2)]
    (long,) = in_child(engine, [Request("long", "Judge.", None, sampling, 1, reply_schema=schema)])
    assert long.response[:1] == "{" and "\n" not in long.response


def test_one_that_stays_loaded_answers_like_one_that_was_just_started() -> None:
    """Also prompts whose beginning it has just read."""
    model = resolve_model("m", ModelSettings(random="chat"))
    engine = engine_of(model, EngineSettings(name="vllm", max_model_len=512, max_num_seqs=4))
    sampling = SamplingSettings(temperature=0.8, max_new_tokens=8)
    text = "Count the apples and the pears. " * 10
    made = [Request(f"{n}", f"{text}{n}", None, sampling, n) for n in range(12)]
    fresh = {answer.key: answer for answer in in_child(engine, made[6:])}
    keep_models(True)
    try:
        list(generate_in_child(engine, made[:6], False, "vllm m"))
        assert is_loaded(engine, False) and not is_loaded(engine, True)
        again = engine_of(model, EngineSettings(name="vllm", max_model_len=512, max_num_seqs=4))
        found = {a.key: a for a in generate_in_child(again, made[6:], False, "vllm m")}
        assert is_loaded(engine, False)
    finally:
        keep_models(False)
    assert found == fresh and len(found) == 6
