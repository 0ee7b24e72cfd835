"""One date and the same arguments wherever a model's template runs, and in its identities."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from persyn_kedro.domain.benchmarks.harness import _save_tokenizer
from persyn_kedro.domain.engines.base import Request
from persyn_kedro.domain.engines.turns import Prepared, Turns
from persyn_kedro.domain.learnability import statistics
from persyn_kedro.domain.quality.reward_model import pair_ids
from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.student.before_after import trained
from persyn_kedro.domain.student.sft import training_examples
from persyn_kedro.foundations.models.load import load_tokenizer
from persyn_kedro.foundations.models.rendering import render_prompt
from persyn_kedro.foundations.models.resolve import ResolvedModel, resolve_model
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.foundations.settings.student import StudentSettings
from tests.support.clock import DATED, set_clock

OFF = {"enable_thinking": False}
ROW = {"prompt": "Hi", "response": "Ho"}


def model(**settings: Any) -> ResolvedModel:
    return resolve_model("m", ModelSettings(random="chat", dtype="float32", **settings))


def generation(m: ResolvedModel, tmp_path: Path, patch: pytest.MonkeyPatch) -> list[int]:
    request = Request("k", "Hi", None, SamplingSettings(), 0)
    prepared = Turns.of(m, EngineSettings()).prepare(request)
    assert isinstance(prepared, Prepared)
    return list(prepared.prompt_ids)


def learnability(m: ResolvedModel, tmp_path: Path, patch: pytest.MonkeyPatch) -> list[int]:
    seen = []

    def spy(*given: Any) -> Any:
        seen.append(render(*given))
        return seen[-1]

    render = statistics.render
    patch.setattr(statistics, "render", spy)
    (row,) = statistics.token_statistics([("k", "Hi", "Ho")], m, None)
    assert row["tokens"] == 2
    return seen[0].prompt_ids


def sft(m: ResolvedModel, tmp_path: Path, patch: pytest.MonkeyPatch) -> list[int]:
    (row,) = training_examples(load_tokenizer(m), [ROW], None, 512)
    return row["input_ids"]


def router(m: ResolvedModel, tmp_path: Path, patch: pytest.MonkeyPatch) -> list[int]:
    backbone, tokenizer = embeddings.load_backbone(m)
    return embeddings.encode(tokenizer, ["Hi"], embeddings.longest(backbone, 1024))[0]


def reward_model(m: ResolvedModel, tmp_path: Path, patch: pytest.MonkeyPatch) -> list[int]:
    return pair_ids(load_tokenizer(m), "Hi", "Ho")


def harness(m: ResolvedModel, tmp_path: Path, patch: pytest.MonkeyPatch) -> list[int]:
    """Let the benchmarks' harness render, as it does by itself."""
    from lm_eval.models.huggingface import HFLM

    _save_tokenizer(m, tmp_path)
    lm: Any = object.__new__(HFLM)
    lm.tokenizer, lm.chat_template_args = AutoTokenizer.from_pretrained(tmp_path), {}
    text = lm.apply_chat_template([{"role": "user", "content": "Hi"}])
    return lm.tokenizer(text, add_special_tokens=False)["input_ids"]


def served_student(m: ResolvedModel, tmp_path: Path, patch: pytest.MonkeyPatch) -> list[int]:
    """What was trained, asked with its saved template and no settings of its origin."""
    shutil.copytree(m.directory, tmp_path / "student")
    load_tokenizer(m).save_pretrained(tmp_path / "student")
    student = trained(Models({"m": m.settings}), StudentSettings(model="m"), tmp_path / "student")
    assert student.chat_template == m.chat_template
    theirs = AutoTokenizer.from_pretrained(tmp_path / "student").apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True
    )
    assert theirs["input_ids"] == render_prompt(load_tokenizer(student), None, "Hi")
    return theirs["input_ids"]


PLACES = [generation, learnability, sft, router, reward_model, harness, served_student]
Place = Callable[[ResolvedModel, Path, pytest.MonkeyPatch], list[int]]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("settings", "date"),
    [({}, "26 Jul 2024"), ({"template_date": "2025-03-05"}, "05 Mar 2025")],
)
def test_the_date_and_the_arguments_are_the_model_s_everywhere(
    place: Place,
    settings: dict[str, Any],
    date: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = []
    for number, now in enumerate(("2026-02-03T04:05:06", "1999-12-31T23:59:59")):
        m = model(chat_template=DATED, template_arguments=OFF, **settings)
        with monkeypatch.context() as patch:
            set_clock(patch, now)
            ids = place(m, tmp_path / str(number), patch)
        texts.append(load_tokenizer(m).decode(ids))
    assert texts[0] == texts[1]
    assert f"Today Date: {date}\n" in texts[0]
    assert "<|im_start|>assistant\n\n<think>\n\n</think>\n\n" in texts[0]


def test_two_templates_of_one_model_are_two_where_it_is_kept_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embeddings, "_loaded", {})
    points = [
        embeddings.embed(model(chat_template=DATED, **more), ["Hi"], 1)
        for more in ({}, {"template_arguments": OFF}, {"template_date": "2025-03-05"})
    ]
    assert len({p.tobytes() for p in points}) == 3
