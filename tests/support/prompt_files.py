"""Prompt files of every kind, and what is read of them."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from persyn_kedro.domain.prompts.sources import read_rows
from persyn_kedro.foundations.settings.prepare import PromptSource

KINDS = ["json", "jsonl", "csv", "parquet"]
PACKED = ["", ".gz", ".zst"]
ROWS = [
    {"prompt": 'He said "1,\r\n2"; then?', "reference": "3"},
    {"prompt": "Größe in ½ m 🏳️‍🌈\n\n?", "reference": None},
    {"prompt": " [x] {y} ", "reference": '["a"]'},
    {"prompt": "long " * 50_000, "reference": "5.0"},
]


def content(rows: list[dict[str, Any]], kind: str) -> bytes:
    """Return the rows as such a file."""
    if kind == "parquet":
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), file)
        return file.getvalue()
    if kind == "csv":
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ["prompt", "reference"], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
        return b"\xef\xbb\xbf" + text.getvalue().encode()
    if kind == "json":
        return json.dumps(rows, indent=1).encode()
    return "\n".join(map(json.dumps, rows)).encode()


def packed(data: bytes, how: str) -> bytes:
    """Compress it as the ending says."""
    if how == ".zst":
        return pa.Codec("zstd").compress(data, asbytes=True)
    return gzip.compress(data) if how == ".gz" else data


def read(file: Path | str, **settings: Any) -> list[dict[str, Any]]:
    return list(read_rows(PromptSource(file=str(file), **settings), 0))


def pairs(file: Path | str, **settings: Any) -> list[tuple[str, str | None]]:
    return [(row["prompt"], row["reference"]) for row in read(file, **settings)]


def fill(directory: Path) -> None:
    """Write one prompt into each of some files, and what is no data."""
    files = {"b.jsonl": "b", "a.csv.gz": "a", "c/d.json": "d", "c/e.parquet.zst": "e"}
    for name, prompt in files.items():
        file = directory / name
        file.parent.mkdir(exist_ok=True, parents=True)
        kind, how = name.split(".", 1)[1].partition(".")[::2]
        file.write_bytes(packed(content([{"prompt": prompt, "reference": "1"}], kind), f".{how}"))
    for name in ("_SUCCESS", ".part.jsonl.crc", "_old.jsonl", "README.md", ".git/x.json"):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text("{")
