"""What every engine keeps to: what is sent, where an answer ends, what runs together."""

import json
import pickle
import shutil
from dataclasses import replace

import pytest

from persyn_kedro.domain.engines import (
    engine_of,
    transformers as transformers_engine,
    turns,
    vllm as vllm_engine,
)
from persyn_kedro.domain.engines.base import Generation, Request
from persyn_kedro.domain.engines.openai import OpenAIEngine
from persyn_kedro.domain.engines.turns import Prepared, Turns
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import ResolvedModel, resolve_model
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings


class WordTokenizer:
    """Ids are positions in ``words``; 0 ends a turn."""

    words = ("<end>", "a", "b", "c")

    def decode(self, ids, **_):
        return " ".join(self.words[id_] for id_ in ids if id_)


WORDS = Turns(WordTokenizer(), context=6, stop_ids={0})


def request(prompt: str = "p", **sampling) -> Request:
    return Request(prompt, prompt, None, SamplingSettings(**sampling), 0)


@pytest.mark.parametrize(
    ("token_ids", "text", "reason", "tokens"),
    [
        ([1, 2, 0], "a b", "stop", 3),
        ([1, 0, 0, 0], "a", "stop", 2),  # padding of a batch is not counted
        ([0], "", "stop", 1),
        ([1, 2, 3, 1], "a b c a", "length", 4),
    ],
)
def test_a_response_ends_at_its_first_stop_token(token_ids, text, reason, tokens):
    prepared = Prepared(request(max_new_tokens=4), [1, 1], 4)
    generation = WORDS.finish(prepared, token_ids)
    assert generation == Generation("p", text, reason, 2, tokens)


def test_a_response_cut_by_the_context_is_an_error_but_a_short_one_is_not():
    prepared = Prepared(request(max_new_tokens=9), [1, 1], 2)
    cut = WORDS.finish(prepared, [1, 2])
    assert (cut.finish_reason, cut.response, cut.completion_tokens) == ("error", "", 2)
    assert "2 tokens left in the context" in str(cut.error)
    assert WORDS.finish(prepared, [1, 0]).finish_reason == "stop"


def test_prompts_that_cannot_be_sent_have_failed_and_bad_templates_stop(monkeypatch):
    def render_messages(tokenizer, messages):
        *system, (_, prompt) = messages
        if system or prompt == "odd":
            raise PersynError(f"The chat template refuses {prompt}.")
        return [1] * len(prompt)

    monkeypatch.setattr(turns.rendering, "render_messages", render_messages)
    fits = WORDS.prepare(request("1234", max_new_tokens=9))
    assert isinstance(fits, Prepared) and fits.max_tokens == 2
    for prompt, tokens in (("123456", 6), ("odd", 0)):
        generation = WORDS.prepare(request(prompt))
        assert isinstance(generation, Generation) and generation.error
        assert (generation.finish_reason, generation.prompt_tokens) == ("error", tokens)
    with pytest.raises(PersynError, match="refuses Hello"):
        WORDS.prepare(replace(request(), system="Be brief."))


@pytest.mark.usefixtures("only_tokenizers")
def test_a_model_of_a_kind_that_is_not_known_is_told_in_one_sentence(tmp_path):
    found = resolve_model("new", ModelSettings(random="chat"))
    directory = tmp_path / "new"
    shutil.copytree(found.directory, directory)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"model_type": "brand_new"}))
    model = replace(found, directory=directory)
    engine = engine_of(model, EngineSettings(name="transformers"))
    for start in (lambda: Turns.of(model, engine.settings), engine.load):
        with pytest.raises(PersynError, match="^Model 'new' in .* cannot be loaded: .*brand_new"):
            start()


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"name": "vllm"}, "VllmEngine"),
        ({"name": "transformers"}, "TransformersEngine"),
        ({"name": "mine.py:answers"}, "PluginEngine"),
        ({"name": "ray"}, "VllmOnRay"),
        ({"name": "ray", "inside": "transformers"}, "TransformersOnRay"),
        ({"name": "ray", "inside": "mine.py:answers"}, "PluginOnRay"),
    ],
)
def test_model_and_settings_choose_the_engine_which_travels_to_its_process(
    tmp_path, settings, kind
):
    hosted = ModelSettings(endpoint={"url": "http://h/v1", "model": "m"})
    assert type(engine_of(resolve_model("far", hosted), EngineSettings(**settings))) is OpenAIEngine
    model = ResolvedModel("near", tmp_path, "w", ModelSettings(random="chat"))
    engine = engine_of(model, EngineSettings(max_model_len=99, **settings))
    assert type(engine).__name__ == kind and engine.context == 99
    there = pickle.loads(pickle.dumps(engine.generate)).__self__
    assert (type(there), there.model, there.settings) == (type(engine), model, engine.settings)


def test_only_greedy_requests_of_one_length_limit_share_a_batch():
    greedy = [Prepared(request(f"g{n}"), [1] * n, 9) for n in (5, 1, 4, 2, 3)]
    shorter = Prepared(request("short"), [1], 8)
    warm = [Prepared(request(f"w{n}", temperature=0.5), [1], 9) for n in range(2)]
    penalty = Prepared(request("p", repetition_penalty=1.1), [1], 9)
    batches = [
        [prepared.request.key for prepared in batch]
        for batch in transformers_engine._batches([*greedy, shorter, *warm, penalty], 2)
    ]
    assert batches[:3] == [["w0"], ["w1"], ["p"]]
    assert batches[3:] == [["g1", "g2"], ["g3", "g4"], ["g5"], ["short"]]


def test_vllm_s_own_settings_are_laid_over_ours(tmp_path):
    own = {"enforce_eager": False, "kv_cache_dtype": "fp8"}
    settings = ModelSettings(random="chat", vllm=own)
    model = ResolvedModel("near", tmp_path, "w", settings)
    made = vllm_engine.engine_arguments(model, EngineSettings(), 64, on_cpu=True)
    assert own.items() <= made.items() and made["max_model_len"] == 64
    plain = replace(model, settings=ModelSettings(random="chat"))
    before = vllm_engine.engine_arguments(plain, EngineSettings(), 64, on_cpu=True)
    assert before["enforce_eager"] is True and "kv_cache_dtype" not in before
