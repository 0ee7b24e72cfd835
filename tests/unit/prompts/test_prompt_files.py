"""Prompt files of every kind, compressed, in directories and globs: the same rows of each."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from persyn_kedro.domain.prompts.prepare import prepare_prompts
from persyn_kedro.foundations.models.identities import source_identity
from persyn_kedro.foundations.settings.prepare import PromptSource
from tests.support.prompt_files import KINDS, PACKED, ROWS, content, fill, packed, pairs, read


@pytest.mark.parametrize("how", PACKED)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_gives_the_same_rows(tmp_path: Path, kind: str, how: str) -> None:
    file = tmp_path / f"p.{kind}{how}"
    file.write_bytes(packed(content(ROWS, kind), how))
    wanted = [
        {**row, "source": file.name, "metadata": None, "messages": None, "kept": None}
        for row in ROWS
    ]
    assert read(file) == wanted
    assert read(file, limit=2) == wanted[:2]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ROW = st.fixed_dictionaries(
    {"prompt": TEXT.filter(str.strip), "reference": TEXT.filter(str.strip) | st.none()}
)


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=5), st.sampled_from(KINDS), st.sampled_from(PACKED))
def test_whatever_texts_hold_they_are_read_as_they_were_written(
    rows: list[dict[str, Any]], kind: str, how: str
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / f"p.{kind}{how}"
        file.write_bytes(packed(content(rows, kind), how))
        assert pairs(file) == [(row["prompt"], row["reference"]) for row in rows]


def test_json_lines_in_a_json_file_are_read_as_ever(tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_bytes(b"\n" + content(ROWS, "jsonl"))
    assert [row["prompt"] for row in read(file)] == [row["prompt"] for row in ROWS]


def test_the_table_of_a_plain_file_is_that_of_earlier_versions(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": "1+1?", "reference": "2"}\n{"prompt": "a", "reference": "5.0"}\n')
    assert prepare_prompts(read(file)).read_all().to_pylist() == [
        {
            "prompt_id": "cfe29f43bcc21dd4b3d74fccdf01313a",  # printf '1+1?' | sha256sum
            "prompt": "1+1?",
            "reference": "2",
            "source": "p.jsonl",
            "metadata": None,
            "messages": None,
            "kept": None,
        },
        {
            "prompt_id": "ca978112ca1bbdcafac231b39a23dc4d",
            "prompt": "a",
            "reference": "5.0",
            "source": "p.jsonl",
            "metadata": None,
            "messages": None,
            "kept": None,
        },
    ]
    # sha256sum p.jsonl
    assert source_identity(PromptSource(file=str(file))) == (
        "file:5b16efdbd29caee43dba199276ff16a9824eb1b1b8ed8aedc483605abd71499b"
    )


def test_a_directory_is_its_files_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path)
    rows = read(tmp_path)
    assert [(row["prompt"], row["source"]) for row in rows] == [
        ("a", "a.csv.gz"), ("b", "b.jsonl"), ("d", "c/d.json"), ("e", "c/e.parquet.zst"),
    ]  # fmt: skip
    assert "1 of the files in" in caplog.text and "unknown: README.md" in caplog.text
    assert [row["prompt"] for row in read(f"{tmp_path}/", limit=3)] == ["a", "b", "d"]


def test_a_glob_is_the_files_that_match_by_name(tmp_path: Path) -> None:
    fill(tmp_path)
    assert [row["prompt"] for row in read(tmp_path / "*.jsonl")] == ["b"]
    assert [row["source"] for row in read(tmp_path / "**" / "*.[jp]*")] == [
        "b.jsonl", "c/d.json", "c/e.parquet.zst",
    ]  # fmt: skip
    (tmp_path / "_old.jsonl").write_bytes(content([{"prompt": "o", "reference": None}], "jsonl"))
    assert [row["prompt"] for row in read(tmp_path / "_*.jsonl")] == ["o"]  # asked for by name
    (tmp_path / "x[1].jsonl").write_bytes(content([{"prompt": "x", "reference": None}], "jsonl"))
    assert [row["prompt"] for row in read(tmp_path / "x[1].jsonl")] == ["x"]  # a file of this name


def test_the_record_of_a_step_holds_each_file_and_its_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"prompt": "{name}"}}\n')
    seen = [source_identity(PromptSource(file=str(tmp_path)))]
    assert seen[0] == source_identity(PromptSource(file=str(tmp_path / "*.jsonl")))
    (tmp_path / "b.jsonl").rename(tmp_path / "0.jsonl")
    seen.append(source_identity(PromptSource(file=str(tmp_path))))
    (tmp_path / "a.jsonl").write_text('{"prompt": "c"}\n')
    seen.append(source_identity(PromptSource(file=str(tmp_path))))
    (tmp_path / "c.csv").write_text("prompt\nc\n")
    seen.append(source_identity(PromptSource(file=str(tmp_path))))
    assert None not in seen and len(set(seen)) == 4
    assert source_identity(PromptSource(file=str(tmp_path / "*.parquet"))) is None
