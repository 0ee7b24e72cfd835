"""Conversations through models: statistics, labels, routers and a reward model's pairs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from persyn_kedro.domain.engines.base import Generation, Request
from persyn_kedro.domain.engines.registry import engine_of
from persyn_kedro.domain.engines.turns import Turns
from persyn_kedro.domain.learnability.statistics import token_statistics
from persyn_kedro.domain.quality.reward_model import pair_ids
from persyn_kedro.domain.reward_model.training import _examples
from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.routers.jobs import fit_router_job, read_prompt_job, score_prompts_job
from persyn_kedro.domain.student.sft import fits, training_examples
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.load import load_causal_lm, load_tokenizer
from persyn_kedro.foundations.models.random import make_random_model
from persyn_kedro.foundations.models.rendering import closing_ids, render
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.prompts.conversation import Conversation, Message, as_prompt
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.routers import settings_of_kind
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from tests.support.router_cases import POOL
from tests.support.talks import SYSTEM, TALK, USER

MARKED = Conversation((USER, Message("assistant", "x<|im_end|>\n"), Message("user", "Grüße?")))


@pytest.fixture(scope="module", params=["chat", "base"])
def student(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> ResolvedModel:
    directory = tmp_path_factory.mktemp(request.param)
    make_random_model(directory, request.param, 1)
    settings = ModelSettings(random=request.param, dtype="float32")
    return ResolvedModel("student", directory, "w", settings)


def test_learnability_is_that_of_the_last_answer_after_the_whole_conversation(
    student: ResolvedModel,
) -> None:
    requests = [("a", TALK, "It is 2."), ("b", TALK, "2"), ("c", MARKED, "Ja<|im_end|>!")]
    rows = list(token_statistics(requests, student, "Be a student.", "float32", 100))
    model, tokenizer = load_causal_lm(student), load_tokenizer(student)
    for (_, prompt, response), row in zip(requests, rows, strict=True):
        rendered = render(tokenizer, "Be a student.", prompt, response)
        start, count = len(rendered.prompt_ids), len(rendered.response_ids)
        ids = torch.tensor([rendered.input_ids], device=model.device)
        with torch.no_grad():
            logp = model(ids).logits[0].double().log_softmax(-1)
        true = logp[torch.arange(start - 1, start - 1 + count), ids[0, start : start + count]]
        assert row["tokens"] == count == len(response.encode())
        assert row["sum_logp"] == pytest.approx(true.sum().item(), abs=1e-4)


def test_labels_are_the_last_answer_and_its_end_and_no_earlier_turn(
    student: ResolvedModel,
) -> None:
    tokenizer = load_tokenizer(student)
    rows = [{"prompt": p, "response": "2, I think"} for p in (TALK, MARKED, "plain")]
    examples = training_examples(tokenizer, rows, "s", 512)
    for row, example in zip(rows, examples, strict=True):
        trained = [token for token in example["labels"] if token != -100]
        assert tokenizer.decode(trained) == "2, I think<|im_end|>"
        assert example["input_ids"][-len(trained) :] == trained
        length = len(example["labels"])
        assert fits(tokenizer, "s", row["prompt"], row["response"], length)
        assert not fits(tokenizer, "s", row["prompt"], row["response"], length - 1)
    # The rows of sft_dataset have the system's messages already: the same ids come of them.
    joined = Message("system", "Be kind.\n\ns")
    merged = {**rows[0], "prompt": as_prompt([joined, *TALK.messages[1:]])}
    assert training_examples(tokenizer, [merged], None, 512) == examples[:1]


def test_an_engine_answers_conversations_and_a_refused_one_has_failed(
    student: ResolvedModel,
) -> None:
    settings, sampling = EngineSettings(name="transformers"), SamplingSettings(max_new_tokens=4)
    twice = as_prompt([USER, USER])
    requests = [
        Request("talk", TALK, "Be brief.", sampling, 0),
        Request("alike", TALK, None, sampling, 0, "row"),
        Request("twice", twice, None, sampling, 0),
    ]
    found = {g.key: g for g in engine_of(student, settings).generate(requests)}
    tokenizer = load_tokenizer(student)
    assert found["talk"].prompt_tokens == len(
        render(tokenizer, None, Conversation((Message("system", "Be brief.\n\nBe kind."),
                                              *TALK.messages[1:])), "").prompt_ids
    )  # fmt: skip
    assert found["talk"].prompt_tokens - found["alike"].prompt_tokens == len("Be brief.\n\n")
    refused = tokenizer.chat_template is None or "im_start" not in tokenizer.chat_template
    assert (found["twice"].error is not None) == refused
    prepared = Turns.of(student, settings).prepare(requests[2])
    assert isinstance(prepared, Generation) == refused
    if refused:
        assert "messages of user, user" in str(prepared.error) and not prepared.asked


def test_the_router_reads_conversations_cut_on_the_left(tiny: ResolvedModel) -> None:
    tokenizer = load_tokenizer(tiny)
    (whole,), (cut,) = (embeddings.encode(tokenizer, [TALK], most) for most in (999, 12))
    assert tokenizer.decode(whole).startswith("<|im_start|>system\nBe kind.<|im_end|>")
    assert cut == whole[-12:] and tokenizer.decode(cut).endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("kind", ["knn", "linear", "language_model"])
def test_routers_fit_score_and_explain_conversations(
    kind: str, tiny: ResolvedModel, tmp_path: Path
) -> None:
    talks = [Conversation((SYSTEM, Message("user", f"{n}?"), *TALK.messages[2:])) for n in range(4)]
    prompts = [*talks, "plain", "other"]
    rewards = np.tile(np.eye(3), (2, 1))
    settings = settings_of_kind(kind, {"epochs": 1, "neighbours": 2, "batch_size": 4})
    saved = tmp_path / "router"
    list(fit_router_job(prompts, rewards, settings, tiny, 0, POOL, saved))
    scores = np.concatenate(list(score_prompts_job(prompts, saved, POOL, 4)))
    assert scores.shape == (6, 3) and np.isfinite(scores).all()
    ((found, near),) = read_prompt_job(talks[1], prompts, saved, 2)
    np.testing.assert_allclose(found.scores[0], scores[1], atol=1e-5)
    assert near is not None and near.places[0] == 1


def test_a_reward_model_judges_and_is_trained_on_the_same_ids(student: ResolvedModel) -> None:
    tokenizer = load_tokenizer(student)
    pair = {"prompt": TALK, "chosen": "2", "rejected": "3"}
    (example,) = _examples(tokenizer, [pair], 512)
    rendered = render(tokenizer, None, TALK, "2")
    ids = rendered.prompt_ids + rendered.response_ids + closing_ids(tokenizer)
    assert example["chosen_ids"] == pair_ids(tokenizer, TALK, "2") == ids
    assert example["rejected_ids"] == pair_ids(tokenizer, TALK, "3") != ids


def test_a_conversation_that_the_student_cannot_be_given_is_one_sentence(
    student: ResolvedModel,
) -> None:
    tokenizer = load_tokenizer(student)
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}{{ m['content'] }}"
        "{% endfor %}"
    )
    with pytest.raises(PersynError, match="rejects messages of system, user, assistant, user: Sys"):
        render(tokenizer, None, TALK, "2")
