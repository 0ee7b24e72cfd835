"""Prompts of a hub's data set, which `datasets` streams; here from a directory in its place."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from persyn_kedro.domain.prompts import sources
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.prepare import PromptSource

READ = """
import sys
from persyn_kedro.domain.prompts import sources
from persyn_kedro.foundations.settings.prepare import PromptSource
if __name__ == "__main__":
    sources.hub_commit = lambda *asked: "main"
    rows = list(sources.read_rows(PromptSource(hub=sys.argv[1], reference_column="answer"), 1))
    print([(row["prompt"], row["reference"], row["source"]) for row in rows])
    print("torch" in sys.modules)
"""


def test_its_rows_are_read_and_torch_stays_out_of_the_run(tmp_path: Path) -> None:
    rows = [{"prompt": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(3)]
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "read.py").write_text(READ)
    done = subprocess.run(
        [sys.executable, tmp_path / "read.py", data],
        env={**os.environ, "HF_HOME": str(tmp_path / "hub")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found, torch = done.stdout.splitlines()
    assert found == str([(row["prompt"], row["answer"], str(data)) for row in rows])
    assert torch == "False"


def test_columns_that_are_not_asked_for_are_not_decoded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from datasets import Dataset, Features, Image, Value

    monkeypatch.setattr(sources, "hub_commit", lambda *asked: "main")
    features = Features({"prompt": Value("string"), "picture": Image()})
    row = {"prompt": "What is this?", "picture": {"bytes": b"not a picture", "path": None}}
    Dataset.from_list([row], features=features).to_parquet(tmp_path / "train.parquet")
    (found,) = sources.read_rows(PromptSource(hub=str(tmp_path)), 1)
    assert found["prompt"] == "What is this?"


def test_one_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "hub_commit", lambda *asked: "main")
    gone = str(tmp_path / "gone")
    with pytest.raises(PersynError, match=f"The hub dataset {gone} cannot be read: "):
        list(sources.read_rows(PromptSource(hub=gone), 1))
