"""Prompt files that are damaged or not what they should be: one sentence that names the place."""

import gzip
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persyn_kedro.foundations.errors import PersynError
from tests.support.prompt_files import content, packed, pairs, read

GOOD = [{"prompt": f"What is {i}?", "reference": str(i)} for i in range(200)]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        (
            "p.jsonl.gz",
            gzip.compress(content(GOOD, "jsonl"), mtime=0)[:-20],
            "is not a gzip file or is corrupt: ",
        ),
        (
            "p.csv.zst",
            packed(content(GOOD, "csv"), ".zst")[:-9],
            "is not a Zstandard file or is corrupt",
        ),
        ("p.jsonl.gz", content(GOOD, "jsonl"), "p.jsonl.gz is not a gzip file or is corrupt: "),
        ("p.json.zst", b"[]", "p.json.zst is not a Zstandard file"),
        (
            "p.parquet.gz",
            gzip.compress(b"PAR1", mtime=0),
            "parquet.gz is not a Parquet file or is corrupt",
        ),
        ("p.parquet", b"", "p.parquet is not a Parquet file or is corrupt"),
        ("p.parquet", content(GOOD, "parquet")[:-9], "p.parquet is not a Parquet file"),
        ("p.json", b"", "p.json has no prompts;"),
        ("p.json", b" [ ]\n", "p.json has no prompts;"),
        ("p.csv", b"", "p.csv has no prompts;"),
        ("p.csv", b"prompt,reference\n", "p.csv has no prompts;"),
        ("p.jsonl.gz", b"", "p.jsonl.gz has no prompts;"),
        (
            "p.json",
            b'[{"prompt": "a"},\n 7]',
            "Item 2 of the array in .*p.json is not a JSON object",
        ),
        ("p.json", b'\n[{"prompt": "a"},\n{"prompt" 7}]', "Line 3 of .*p.json is not JSON"),
        ("p.json", b'[{"prompt": "a"},\n{"prompt":\n\n', "Line 2 of .*p.json is not JSON"),
        ("p.jsonl", b'{"prompt": "a"}\n\n{"prompt": \n', "Line 3 of .*p.jsonl is not JSON"),
        ("p.json", b"[1]\n[2]", "Line 2 of .*p.json is not JSON: Extra data"),
        ("p.json", b"[" * 100_000, "Line 1 of .*p.json is not JSON"),
        ("p.json", b'[{"prompt": "\xff"}]', "p.json is not UTF-8"),
        ("p.csv", b"prompt\n\xff\n", "p.csv is not UTF-8"),
        (
            "p.csv",
            b'prompt,reference\na,1\n"b\nc"\n',
            "Row 2 of .*p.csv .ending on line 4. has 1 values, but the header has 2",
        ),
        ("p.csv", b"prompt,reference\na,1,2\n", "Row 1 of .*p.csv .* has 3 values"),
        ("p.csv", b'prompt\n"a\n', "Line 2 of .*p.csv is not CSV: unexpected end of data"),
        ("p.csv", b"prompt,prompt\na,b\n", "The header of .*p.csv has a duplicate column"),
        (
            "p.csv",
            b"question;answer\na;b\n",
            "Row 1 of p.csv has .* .its columns: question;answer.",
        ),
        ("p.csv", b"prompt,reference\na,1\n,2\n", "Prompt 2 of p.csv is empty"),
        ("p.json", b'[{"prompt": 7}]', "Row 1 of p.json has no text in column 'prompt'"),
        ("p.json", b'[{"prompt": ["a"]}]', "has no text in column 'prompt', but a list"),
        ("p.txt", b"a", "p.txt is not .jsonl, .json, .csv or .parquet"),
        ("p.txt.gz", b"a", "p.txt.gz is not .jsonl"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, name: str, data: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(PersynError, match=sentence) as refused:
        read(tmp_path / name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "prompts.jsonl has no prompts;"),
        (
            b'{"question": "a", "answer": 1}\n',
            "Row 1 of prompts.jsonl has no text in column 'prompt' (its columns: question, answer)",
        ),
        (b'{"prompt": "caf\xe9"}\n', "prompts.jsonl is not UTF-8"),
        (b'{"prompt": "a"}\n{"prompt": null}\n', "Row 2 of prompts.jsonl has no text"),
        (b'{"prompt": "a"}\n{"prompt": " \\t\\u00a0"}\n', "Prompt 2 of prompts.jsonl is empty"),
        (b'{"prompt": "a\\ud83d"}\n', "Row 1 of prompts.jsonl has invalid Unicode"),
    ],
)
def test_a_bad_jsonl_file_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("prompts.jsonl").write_bytes(data)
    with pytest.raises(PersynError) as refused:
        read("prompts.jsonl")
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


def test_of_several_files_the_bad_one_is_named_and_its_own_row(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"prompt": "a"}\n')
    (tmp_path / "b.csv").write_text("prompt,reference\nb,1\n ,2\n")
    with pytest.raises(PersynError, match="Prompt 2 of b.csv is empty"):
        read(tmp_path)
    assert pairs(tmp_path, limit=2) == [("a", None), ("b", "1")]
    with pytest.raises(PersynError, match="has no column 'answer' .its columns: prompt, reference"):
        read(tmp_path, limit=2, reference_column="answer")


def test_a_directory_or_glob_without_prompt_files_is_refused(tmp_path: Path) -> None:
    for made in ((), ("_SUCCESS",), ("README.md",)):
        for name in made:
            (tmp_path / name).touch()
        with pytest.raises(PersynError, match=f"^{re.escape(str(tmp_path))} has no files in"):
            read(tmp_path)
    with pytest.raises(PersynError, match="The prompt file .*x.*jsonl does not exist"):
        read(tmp_path / "x*.jsonl")
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "b.csv").touch()
    with pytest.raises(PersynError, match="has no prompts"):
        read(tmp_path)


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_parquet_texts_of_any_type_are_read_beside_nested_columns(
    tmp_path: Path, kind: pa.DataType
) -> None:
    file = tmp_path / "p.parquet"
    table = {
        "meta": [{"a": {"b": [1]}}, None],
        "prompt": pa.array(["1?", "2?"]).cast(kind),
        "reference": pa.array(["1", None]).cast(kind),
        "vector": pa.array([[[0.5]], []], pa.list_(pa.list_(pa.float32()))),
        "pairs": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int8())),
    }
    pq.write_table(pa.table(table), file)
    assert pairs(file) == [("1?", "1"), ("2?", None)]
    with pytest.raises(PersynError, match="'meta', but an object .its columns: meta, prompt"):
        read(file, prompt_column="meta")
    with pytest.raises(PersynError, match="in column 'vector', but a list"):
        read(file, prompt_column="vector")
    with pytest.raises(PersynError, match="no text in column 'q' .its columns: meta, prompt, ref"):
        read(file, prompt_column="q", reference_column="r")
    pq.write_table(pa.Table.from_arrays([table["prompt"]] * 2, ["prompt", "prompt"]), file)
    with pytest.raises(PersynError, match="p.parquet has a duplicate column"):
        read(file)
