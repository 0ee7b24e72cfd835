"""Prompts: identity, repeats, splits that never move, and unreadable files."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from persyn_kedro.domain.prompts import sources
from persyn_kedro.domain.prompts.prepare import prepare_prompts, split_prompts
from persyn_kedro.domain.prompts.sources import read_rows
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.prepare import PrepareSettings, PromptSource


def settings(**values: float) -> PrepareSettings:
    return PrepareSettings(source=PromptSource(file="unused.jsonl"), **values)


def placed(texts: Iterable[str], chosen: PrepareSettings, seed: int) -> list[dict[str, Any]]:
    """Return rows of ``schemas.PROMPTS`` of these prompts."""
    row = {"reference": None, "source": "x", "metadata": None}
    prompts = prepare_prompts([{**row, "prompt": text} for text in texts])
    return split_prompts(prompts, chosen, seed).read_all().to_pylist()


@given(st.lists(st.uuids(), min_size=2, unique=True), st.integers(0, 5))
def test_adding_prompts_never_moves_old_ones(ids: list, seed: int) -> None:
    names = [str(i) for i in ids]
    few = placed(names[: len(names) // 2], settings(), seed)
    many = placed(reversed(names), settings(), seed)
    places = {row["prompt_id"]: row for row in many}
    assert all(places[row["prompt_id"]] == row for row in few)


def test_the_fractions_are_kept() -> None:
    chosen = settings(calibration_fraction=0.3, test_fraction=0.2)
    rows = placed(map(str, range(20_000)), chosen, 0)
    share = {s: sum(r["split"] == s for r in rows) / 20_000 for s in ("calibration", "test")}
    assert share == pytest.approx({"calibration": 0.3, "test": 0.2}, abs=0.015)


def test_repeats_are_left_out_and_counted_and_the_id_is_the_hash_of_the_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    row = {"reference": None, "source": "x", "metadata": None}
    with caplog.at_level(logging.INFO):
        table = prepare_prompts([{**row, "prompt": p} for p in ("a", "b", "a", "a")]).read_all()
    assert "2 of 4 prompts are duplicates" in caplog.text
    assert table["prompt"].to_pylist() == ["a", "b"]
    # printf a | sha256sum
    assert table["prompt_id"][0].as_py() == "ca978112ca1bbdcafac231b39a23dc4d"


def test_a_jsonl_file_is_read_with_its_references(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": "1+1?", "reference": 2}\n\n{"prompt": "hi"}\n')
    rows = list(read_rows(PromptSource(file=str(file), prompt_suffix="!"), 0))
    assert [(r["prompt"], r["reference"]) for r in rows] == [("1+1?!", "2"), ("hi!", None)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"prompt": "a"}\n{oops\n', "Line 2 of"),
        (b'{"text": "a", "x": 1}\n', "has no text in column 'prompt' .its columns: text, x."),
        (b"", "p.jsonl has no prompts"),
        (b"\n \n", "p.jsonl has no prompts"),
        (b'{"prompt": null}\n', "Row 1 of p.jsonl has no text in column 'prompt'"),
        (b'{"prompt": "a"}\n{"prompt": ""}\n', "Prompt 2 of p.jsonl is empty"),
        (b'{"prompt": " \\t\\u2003\\n"}\n', "Prompt 1 of p.jsonl is empty"),
        (b'{"prompt": 7}\n', "Row 1 of p.jsonl has no text in column 'prompt'"),
        (b'{"prompt": "\xff"}\n', "is not UTF-8"),
        (b"[1]\n", "is not a JSON object"),
        (b"[" * 100_000, "Line 1 of .* is not JSON"),
        (b'{"prompt": ' + b"9" * 5_000 + b"}", "Line 1 of .* is not JSON: .* digits"),
        (b'{"prompt": "a"}\n{"prompt": "\\ud800"}\n', "Row 2 of .* lone surrogate"),
        (b'{"prompt": "a", "reference": "\\udc00"}\n', "The reference of row 1 of p.jsonl"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "p.jsonl"
    file.write_bytes(content)
    with pytest.raises(PersynError, match=sentence):
        list(read_rows(PromptSource(file=str(file)), 0))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PersynError, match="prompt file .*nowhere.jsonl does not exist"):
        list(read_rows(PromptSource(file=str(tmp_path / "nowhere.jsonl")), 0))


def test_a_blank_prompt_is_refused_whatever_the_suffix(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": " "}\n')
    with pytest.raises(PersynError, match="Prompt 1 of p.jsonl is empty"):
        list(read_rows(PromptSource(file=str(file), prompt_suffix=" Solve it."), 0))


def test_a_reference_column_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": "a"}\n{"prompt": "b", "answer": 2}\n')
    rows = list(read_rows(PromptSource(file=str(file), reference_column="answer"), 0))
    assert [row["reference"] for row in rows] == [None, "2"]
    with pytest.raises(PersynError, match="no column 'answr' .its columns: prompt, answer."):
        list(read_rows(PromptSource(file=str(file), reference_column="answr"), 0))
    assert len(list(read_rows(PromptSource(file=str(file)), 0))) == 2  # "reference" is not a must


def test_nan_null_and_blank_references_are_none_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "p.jsonl"
    references = ["NaN", "null", '""', '" "', "0", '"NaN"']
    lines = [f'{{"prompt": "p{i}", "reference": {r}}}' for i, r in enumerate(references)]
    file.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")  # a byte order mark is no error
    with caplog.at_level(logging.INFO):
        table = prepare_prompts(read_rows(PromptSource(file=str(file)), 0)).read_all()
    assert table["reference"].to_pylist() == [None, None, None, None, "0", "NaN"]
    assert "4 of 6 prompts have no reference" in caplog.text


def test_a_parquet_file_is_read_in_batches_up_to_the_limit(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = tmp_path / "p.parquet"
    answers = [2.5, float("nan"), 6.0]
    pq.write_table(pa.table({"q": ["5/2?", "2+2?", "3+3?"], "a": answers}), file)
    source = PromptSource(file=str(file), prompt_column="q", reference_column="a", limit=2)
    rows = list(read_rows(source, 0))
    assert [(r["prompt"], r["reference"]) for r in rows] == [("5/2?", "2.5"), ("2+2?", None)]
    file.write_bytes(b"PAR")
    with pytest.raises(PersynError, match="is not a Parquet file"):
        list(read_rows(source, 0))
    pq.write_table(pa.table({"q": pa.array([b"a\xff"]).cast(pa.string(), safe=False)}), file)
    with pytest.raises(PersynError, match="is not UTF-8"):
        list(read_rows(PromptSource(file=str(file), prompt_column="q"), 0))


def test_a_hub_data_set_is_streamed_at_its_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the download: the call that would make it is checked."""
    import datasets

    class Rows(list):
        features = None  # as of JSON lines

    asked: list[tuple] = []

    def load(*args: object, **options: object) -> Rows:
        asked.append((args, options))
        return Rows([{"problem": "1+1?", "answer": "2"}, {"problem": "2+2?", "answer": None}])

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(sources, "hub_commit", lambda name, revision, kind: f"commit of {revision}")
    source = PromptSource(
        hub="o/d", hub_config="main", hub_revision="abc", prompt_column="problem",
        reference_column="answer",
    )  # fmt: skip
    rows = list(read_rows(source, 0))
    assert [(r["prompt"], r["reference"]) for r in rows] == [("1+1?", "2"), ("2+2?", None)]
    assert asked == [
        (("o/d", "main"), {"split": "train", "revision": "commit of abc", "streaming": True})
    ]

    def offline(*args: object, **options: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(PersynError, match="hub dataset o/d cannot be read"):
        list(read_rows(source, 0))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tasks": [{"name": "chain_sum", "size": 1}], "limit": 2}, "tasks have a size"),
        ({"file": "a.jsonl", "hub_split": "test"}, "is only for hub sources"),
        ({"file": "a.jsonl", "hub": "o/d"}, "exactly one"),
    ],
)
def test_a_setting_that_would_be_ignored_is_refused(changes: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        PromptSource(**changes)


def test_a_task_may_be_given_a_list() -> None:
    sums = {"operators": ["+"], "allow_parentheses": False, "allow_negation": False}
    source = PromptSource(tasks=[{"name": "basic_arithmetic", "size": 20, "config": sums}])
    prompts = [row["prompt"] for row in read_rows(source, seed=1)]
    assert len(prompts) == 20
    assert all("+" in prompt and "*" not in prompt and "/" not in prompt for prompt in prompts)


def test_reasoning_gym_tasks_are_made_from_the_seed() -> None:
    source = PromptSource(tasks=[{"name": "chain_sum", "size": 3}])
    first, again, other = (list(read_rows(source, seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert all(row["reference"] for row in first)
