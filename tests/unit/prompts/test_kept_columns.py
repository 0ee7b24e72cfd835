"""Columns of a source that travel with its prompts, to the training set and the exports."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from persyn_kedro.domain.export.rows import HANDED_ON, splits_of
from persyn_kedro.domain.prompts.prepare import prepare_prompts
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.tables import schemas
from tests.support.good_rows import GOOD
from tests.support.prompt_files import content, read

ROWS: list[dict[str, Any]] = [
    {"prompt": "a", "subject": "maths", "id": 7, "meta": {"level": 2.5}},
    {"prompt": "b", "subject": None, "id": 8, "meta": {"level": float("nan")}},
]
ODD = {"prompt": "c", "marks": [{"a": float("nan")}, {"a": float("inf")}]}
KEEP = ["subject", "id", "meta.level"]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_kept_columns_are_a_json_object_beside_the_prompt(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"p.{kind}"
    file.write_bytes(content(ROWS, kind))
    table = prepare_prompts(read(file, keep=KEEP)).read_all()
    assert [json.loads(text) for text in table["kept"].to_pylist()] == [
        {"subject": "maths", "id": 7, "meta.level": 2.5},
        {"subject": None, "id": 8, "meta.level": None},
    ]
    assert [row["kept"] for row in read(file)] == [None, None]


def test_numbers_that_json_does_not_have_are_null_at_any_depth(tmp_path: Path) -> None:
    file = tmp_path / "p.parquet"
    file.write_bytes(content([ODD], "parquet"))
    (row,) = read(file, keep=["marks"])
    assert row["kept"] == '{"marks": [{"a": null}, {"a": null}]}'


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        (["topic"], "has no column 'topic' .its columns: prompt, subject, id, meta"),
        (["id", "teacher"], "keep names 'teacher', which is a column of the training set"),
        (["messages"], "keep names 'messages', which"),
    ],
)
def test_what_cannot_be_kept_is_one_sentence(
    tmp_path: Path, keep: list[str], sentence: str
) -> None:
    file = tmp_path / "p.jsonl"
    file.write_bytes(content(ROWS, "jsonl"))
    with pytest.raises(PersynError, match=sentence):
        read(file, keep=keep)


def test_half_a_character_in_a_kept_column_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": "a", "id": "\\ud800"}')
    with pytest.raises(PersynError, match="What row 1 of p.jsonl keeps has invalid Unicode"):
        read(file, keep=["id"])


def exported(*kept: str | None) -> pa.Table:
    rows = [{**GOOD["sft_dataset"], "kept": text} for text in kept]
    data = pads.dataset(pa.Table.from_pylist(rows, schemas.SFT_DATASET))
    return splits_of(data)["train"].read_all()


def test_exports_have_the_kept_columns_as_text() -> None:
    told = json.dumps({"subject": "maths", "id": 7, "tags": ["ä"]})
    table = exported(None, told)
    assert table.schema.names == [*HANDED_ON.names, "subject", "id", "tags"]
    assert table.select(["subject", "id", "tags"]).to_pylist() == [
        {"subject": None, "id": None, "tags": None},
        {"subject": "maths", "id": "7", "tags": '["ä"]'},
    ]


def test_exports_without_kept_columns_are_those_of_earlier_versions() -> None:
    assert exported(None).schema.names == [
        "prompt", "completion", "messages", "teacher", "scores", "reward", "prompt_id",
        "response_key", "part",
    ]  # fmt: skip
