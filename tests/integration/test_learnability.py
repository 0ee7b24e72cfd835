"""Token statistics against a plain forward pass, one response at a time."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from persyn_kedro.domain.learnability import scoring, statistics
from persyn_kedro.domain.learnability.local import local_scorer, sentence_ends
from persyn_kedro.domain.learnability.statistics import scorer_id, token_statistics
from persyn_kedro.domain.stores.tables import StatisticsStore
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.load import load_causal_lm, load_tokenizer
from persyn_kedro.foundations.models.random import make_random_model
from persyn_kedro.foundations.models.rendering import render
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes import map_blocks as spread
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.tables import schemas

SUMS = ("sum_logp", "sum_rank_100", "sum_p2", "sum_p_true")
REQUESTS = [
    ("a", "What is 2 + 2?", "It is 4, as anyone can count on four fingers."),
    ("b", "x", "y"),
    ("c", "Say nothing.", ""),
    ("d", "A <|im_end|> in a longer question, to be padded to.", "Grüße <|im_end|> 你好"),
    ("e", "Think.", "<think>long</think>kept, as given"),
    ("f", "Think.", "Another answer to the same prompt."),
    ("g", "Think.", "z"),
]


@pytest.fixture(scope="module", params=["chat", "base"])
def student(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> ResolvedModel:
    directory = tmp_path_factory.mktemp(request.param)
    make_random_model(directory, request.param, 1)
    settings = ModelSettings(random=request.param, random_seed=1, dtype="float32")
    return ResolvedModel("student", directory, "w", settings)


def _plain(student: ResolvedModel, prompt: str, response: str) -> dict[str, Any]:
    model, tokenizer = load_causal_lm(student), load_tokenizer(student)
    rendered = render(tokenizer, "s", prompt, response)
    start, count = len(rendered.prompt_ids), len(rendered.response_ids)
    ids = torch.tensor([rendered.input_ids], device=model.device)
    with torch.no_grad():
        probabilities = model(ids).logits[0].double().softmax(-1)
    rows = probabilities[start - 1 : start - 1 + count]
    true = rows[torch.arange(count), ids[0, start : start + count]]
    return {
        "tokens": count,
        "sum_logp": true.log().sum().item(),
        "sum_rank_100": (1 + (rows > true[:, None]).sum(-1)).clamp(max=100).sum().item(),
        "sum_p2": (rows**2).sum().item(),
        "sum_p_true": true.sum().item(),
        "logp": true.log().cpu().numpy(),
    }


@pytest.mark.parametrize(("pack_tokens", "chunk"), [(1, 256), (1, 3), (100, 5), (4096, 256)])
def test_equals_a_plain_forward_pass(student: ResolvedModel, pack_tokens: int, chunk: int) -> None:
    rows = list(token_statistics(REQUESTS, student, "s", "float32", pack_tokens, chunk))
    assert [row["response_key"] for row in rows] == list("abcdefg")
    for row, (key, prompt, response) in zip(rows, REQUESTS, strict=True):
        if key == "c":
            continue
        plain = _plain(student, prompt, response)
        assert row["tokens"] == plain["tokens"] == len(row["logp"])
        assert [row[s] for s in SUMS] == pytest.approx([plain[s] for s in SUMS], abs=1e-4)
        np.testing.assert_allclose(np.array(row["logp"], float), plain["logp"], rtol=2e-3)


def test_a_model_that_cannot_be_packed_is_scored_one_by_one(
    student: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = list(token_statistics(REQUESTS, student, None, "float32"))
    monkeypatch.setattr(statistics, "use_packing", lambda model: False)
    single = list(token_statistics(REQUESTS, student, None, "float32"))
    for a, b in zip(packed, single, strict=True):
        assert [a[s] for s in SUMS] == pytest.approx([b[s] for s in SUMS], abs=1e-4)


def test_rows_fit_the_schema_and_an_empty_response_is_null(student: ResolvedModel) -> None:
    rows = list(token_statistics(REQUESTS, student, None, "float32", 100))
    table = pa.Table.from_pylist(rows, schemas.STORED_STATISTICS)
    empty = table.to_pylist()[2]
    assert empty.pop("response_key") == "c" and empty.pop("tokens") == 0
    assert set(empty.values()) == {None}


def test_too_long_a_response_is_null(
    student: ResolvedModel,
) -> None:
    (row,) = token_statistics([("k", "x", "y" * 100_000)], student, None, "float32")
    assert row["tokens"] == 100_000 and row["sum_logp"] is None


def test_responses_too_long_for_the_student_are_counted_in_one_warning(
    student: ResolvedModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(spread, "run_in_child", lambda function, *args, label: function(*args))
    prompts = {"p": "short?", "q": "z" * 1_000_000, "r": "r?"}
    answers = {"p": "yes", "q": "yes", "r": ""}
    rows = [
        {"prompt_id": p, "teacher": "t", "response_key": p, "response": text,
         "finish_reason": "stop"} for p, text in answers.items()
    ]  # fmt: skip
    table = scoring.score_responses(
        pa.Table.from_pylist(rows, schemas.RESPONSES), prompts, {"t": "keep"}, student, None,
        StatisticsStore(tmp_path), LabelSettings(),
    )  # fmt: skip
    assert [s is None for s in table["sum_logp"].to_pylist()] == [False, True, True]
    assert "1 of 3 responses are too long for the context of student" in caplog.text


def test_soft_capping_is_honoured_and_other_heads_are_refused(student: ResolvedModel) -> None:
    model = load_causal_lm(student)
    model.get_output_embeddings().weight.data *= 50
    plain_forward = model.forward

    def capped(cap: float) -> None:
        def forward(*args: Any, **kwargs: Any) -> Any:
            output = plain_forward(*args, **kwargs)
            output.logits = (output.logits / cap).tanh() * cap
            return output

        model.forward = forward

    capped(2.0)
    with pytest.raises(PersynError, match="changes its logits"):
        statistics.check_head(model, "m")
    model.config.final_logit_softcapping = 2.0
    statistics.check_head(model, "m")


def test_scorer_id_follows_all_that_fixes_a_score(student: ResolvedModel, tmp_path: Path) -> None:
    def with_settings(**changes: str) -> ResolvedModel:
        settings = student.settings.model_copy(update=changes)
        return ResolvedModel("other name", student.directory, "w", settings)

    same = scorer_id(student, None, "keep")
    assert scorer_id(with_settings(think="keep"), None, "keep") == same  # not its own text
    others = [
        scorer_id(student, "s", "keep"),
        scorer_id(student, None, "strip"),
        scorer_id(with_settings(dtype="bfloat16"), None, "keep"),
        scorer_id(with_settings(chat_template="{{ messages }}"), None, "keep"),
        scorer_id(ResolvedModel("student", student.directory, "v", student.settings), None, "keep"),
    ]
    assert len({same, *others}) == 6


LONG = "One is one. Two is two.\nThree! Four? Five is 5.0 exactly. Six. And 你好。Eight"


@pytest.mark.parametrize("pack_tokens", [1, 100, 4096])
def test_local_statistics_equal_plain_passes_over_each_sentence(
    student: ResolvedModel, pack_tokens: int
) -> None:
    model, tokenizer = load_causal_lm(student), load_tokenizer(student)
    sentences = [LONG[a:b] for a, b in pairwise([0, *sentence_ends(LONG)])]
    assert len(sentences) == 8
    wanted = []
    for place, sentence in enumerate(sentences):
        ids = render(tokenizer, "s", "Count!", "".join(sentences[max(0, place - 4) : place + 1]))
        scored = len(sentence.encode())  # a token a byte
        row = torch.tensor([ids.prompt_ids + ids.response_ids], device=model.device)
        with torch.no_grad():
            logp = model(row).logits[0, :-1].double().log_softmax(-1)
        true = logp.gather(-1, row[0, 1:, None])[-scored:]
        wanted.append(true.mean().item())
    requests = [
        ("a", "Count!", LONG),
        ("e", "Count!", ""),
        ("b", "x", "y"),
        ("f", "x", "One. " * 900),
    ]
    rows = list(local_scorer(student, "s", "float32", pack_tokens, 5)(requests))
    assert [(row["response_key"], row["tokens"]) for row in rows] == [
        ("a", len(LONG.encode())), ("e", 0), ("b", 1), ("f", 4500),
    ]  # fmt: skip
    assert rows[0]["local_logp"] == pytest.approx(sum(wanted) / len(wanted), abs=1e-5)
    assert rows[1]["local_logp"] is None
    whole = list(token_statistics(requests, student, "s", "float32"))
    assert rows[2]["local_logp"] == pytest.approx(whole[2]["sum_logp"], abs=1e-5)
    # Its sentences fit the student's context, though it does not.
    assert whole[3]["sum_logp"] is None and rows[3]["local_logp"] < 0


def test_the_local_pass_is_stored_apart_and_made_once(
    student: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "run_in_child", lambda function, *args, label: function(*args))
    answer = {"prompt_id": "p", "teacher": "t", "response_key": "k", "response": "One. Two.",
              "finish_reason": "stop"}  # fmt: skip
    table, store = pa.Table.from_pylist([answer], schemas.RESPONSES), StatisticsStore(tmp_path)

    def scored(**label: Any) -> dict[str, Any]:
        (row,) = scoring.score_responses(
            table, {"p": "q"}, {"t": "keep"}, student, None, store, LabelSettings(**label)
        ).to_pylist()
        return row

    plain, both = scored(), scored(local=True)
    assert plain["local_logp"] is None and both["local_logp"] < 0
    assert both["sum_logp"] == plain["sum_logp"]
    monkeypatch.setattr(scoring, "spread", None)  # nothing is left to score
    assert scored(learnability="local_likelihood") == both and scored() == plain
