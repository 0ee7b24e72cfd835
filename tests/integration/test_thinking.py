"""One rule for ``<think>`` text: the writer's setting, in scoring, checking and fine-tuning."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from persyn_kedro.domain.learnability.scoring import score_responses
from persyn_kedro.domain.quality.checking import check_quality
from persyn_kedro.domain.quality.exact_answer import ExactAnswer
from persyn_kedro.domain.stores.tables import QualityStore, StatisticsStore
from persyn_kedro.foundations.models.load import load_tokenizer
from persyn_kedro.foundations.models.random import make_random_model
from persyn_kedro.foundations.models.rendering import reading
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import ModelSettings, Think
from persyn_kedro.foundations.tables import schemas
from tests.support.tables import sft_rows

RAW = "<think>It is 9.</think>\\boxed{7}"
THINKS: dict[str, Think] = {"keeper": "keep", "stripper": "strip"}
PROMPT = {
    "prompt_id": "p",
    "prompt": "3 + 4?",
    "messages": None,
    "reference": "7",
    "source": "file",
    "metadata": None,
    "part": "fit",
}


def responses(**texts: str) -> pa.Table:
    """Rows of two teachers that share weights and recipe, so that the response key is one."""
    row: dict[str, Any] = dict.fromkeys(schemas.RESPONSES.names)
    row |= {"prompt_id": "p", "response_key": "k", "finish_reason": "stop"}
    return pa.Table.from_pylist(
        [{**row, "teacher": teacher, "response": text} for teacher, text in texts.items()],
        schemas.RESPONSES,
    )


@pytest.fixture
def student(tmp_path: Path) -> ResolvedModel:
    make_random_model(tmp_path / "model", "chat", 5)
    settings = ModelSettings(random="chat", dtype="float32")
    return ResolvedModel("tiny", tmp_path / "model", "random", settings)


def test_scored_checked_and_trained_text_are_one(student: ResolvedModel, tmp_path: Path) -> None:
    table = responses(keeper=RAW, stripper=RAW)
    tokenizer = load_tokenizer(student)
    rows = sft_rows(
        table.filter(pa.array([False, True])),
        {"p": PROMPT},
        {"p": [0.0, 1.0]},
        {},
        THINKS,
    )
    kept = sft_rows(
        table.filter(pa.array([True, False])),
        {"p": PROMPT},
        {"p": [1.0, 0.0]},
        {},
        THINKS,
    )
    trained = {row["teacher"]: row["completion"][0]["content"] for row in [*kept, *rows]}
    assert trained == {"keeper": RAW, "stripper": "\\boxed{7}"}

    store = StatisticsStore(tmp_path / "statistics")
    for _ in range(2):  # computed, then read from the store
        scored = score_responses(
            table, {"p": "3 + 4?"}, THINKS, student, None, store, LabelSettings()
        ).to_pylist()
        lengths = {row["teacher"]: row["tokens"] for row in scored}
        assert lengths == {
            teacher: len(tokenizer(text, add_special_tokens=False)["input_ids"])
            for teacher, text in trained.items()
        }


def test_two_readings_of_one_response_are_checked_apart(tmp_path: Path) -> None:
    text = "\\boxed{7}<think>or \\boxed{9}</think>"
    table = responses(keeper=text, stripper=text)
    for _ in range(2):
        quality = check_quality(
            table, {"p": PROMPT}, THINKS, ExactAnswer(), QualityStore(tmp_path)
        ).to_pylist()
        assert {r["teacher"]: r["quality"] for r in quality} == {"keeper": 0.0, "stripper": 1.0}


def test_text_without_thinking_reads_the_same_either_way() -> None:
    assert reading("plain", "strip") == reading("plain", "keep") == "keep"
    assert reading(RAW, "strip") == "strip"
