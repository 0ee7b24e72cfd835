"""Invariants that hold for any text and any scores."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from persyn_kedro.domain.prompts.prepare import prepare_prompts, split_prompts
from persyn_kedro.domain.prompts.sources import read_rows
from persyn_kedro.domain.rewards.reward import compute_rewards
from persyn_kedro.domain.routers.assignment import assignments, ranked_teachers
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import as_unicode
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.prepare import PrepareSettings, PromptSource
from persyn_kedro.foundations.tables import schemas

TEXT = st.text(max_size=40)
HALF = st.text(st.characters(categories=["Cs"]), min_size=1, max_size=1)
SCORE = st.floats(allow_nan=True, allow_infinity=True)
FEW = settings(max_examples=50)


def row(prompt: str) -> dict:
    return {"prompt": prompt, "reference": None, "source": "s", "metadata": None}


@given(st.lists(TEXT.filter(str.strip), min_size=1), st.integers())
@FEW
def test_every_prompt_is_kept_once_and_has_one_place(prompts: list[str], seed: int) -> None:
    table = prepare_prompts(map(row, prompts)).read_all()
    assert table["prompt"].to_pylist() == list(dict.fromkeys(prompts))
    ids = table["prompt_id"].to_pylist()
    assert len(set(ids)) == len(ids)
    source = PromptSource(file="p.jsonl")
    batches, place = table.to_batches(), PrepareSettings(source=source)
    split = split_prompts(batches, place, seed).read_all()
    assert split.select(table.column_names) == table
    parts = {"calibration": {"fit", "holdout"}, "train": {"sft", "withheld"}, "test": {None}}
    assert all(s["part"] in parts[s["split"]] for s in split.to_pylist())


@given(TEXT, HALF, TEXT)
@FEW
def test_half_a_character_is_refused_in_a_file(before: str, half: str, after: str) -> None:
    import json

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "p.jsonl"
        file.write_text(json.dumps({"prompt": before + half + after}))
        with pytest.raises(PersynError, match="invalid Unicode"):
            list(read_rows(PromptSource(file=str(file)), 0))


@given(st.text(st.characters(categories=["Cs", "L", "Cc", "So"]), max_size=20))
@FEW
def test_text_from_outside_can_always_be_written_and_loses_half_characters_alone(text: str) -> None:
    mended = as_unicode(text)
    assert mended.encode().decode() == mended and len(mended) == len(text)
    for before, after in zip(text, mended, strict=True):
        assert after == ("\ufffd" if "\ud800" <= before <= "\udfff" else before)


CELL = st.tuples(
    st.none() | SCORE,  # quality
    st.none() | st.just(float("nan")) | st.floats(max_value=0),  # sum_logp
    st.integers(0, 9),  # tokens
    st.sampled_from(["stop", "length", "error"]),
    TEXT,
)


@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=4),
    st.just(0.0) | st.floats(1e-12, 1),  # what the setting takes
    st.randoms(use_true_random=False),
)
@FEW
def test_rewards_are_in_range_valid_or_null_and_blind_to_order(
    cells: list, alpha: float, random: object
) -> None:
    teachers = ["a", "b", "c"]
    responses, statistics, quality = [], [], []
    for i, line in enumerate(cells):
        for teacher, (q, logp, tokens, finish, text) in zip(teachers, line, strict=True):
            place = {
                "prompt_id": f"p{i}",
                "teacher": teacher,
                "response_key": f"{i}{teacher}",
                "sample_index": 0,
            }
            responses.append({**place, "response": text, "finish_reason": finish})
            statistics.append({**place, "tokens": tokens, "sum_logp": logp})
            quality.append({**place, "quality": q})
    label = LabelSettings(alpha=alpha)

    def tables() -> tuple[pa.Table, pa.Table, pa.Table]:
        kinds = (schemas.RESPONSES, schemas.TOKEN_STATISTICS, schemas.QUALITY)
        lists = (responses, statistics, quality)
        return tuple(pa.Table.from_pylist(r, k) for r, k in zip(lists, kinds, strict=True))  # type: ignore[return-value]

    rewards = compute_rewards(*tables(), teachers, label)
    for line in rewards.to_pylist():
        assert (line["reward"] is not None) == line["valid"]
        if line["valid"]:
            assert -1e-9 <= line["reward"] <= 1 + 1e-9
    for rows in (responses, statistics, quality):
        random.shuffle(rows)  # type: ignore[attr-defined]
    assert compute_rewards(*tables(), teachers, label).equals(rewards)


@given(st.lists(st.tuples(st.integers(0, 5), TEXT, st.none() | TEXT), max_size=8))
@FEW
def test_the_store_gives_back_any_text_and_no_row_twice(written: list) -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = ResponseStore(Path(directory))
        expected: dict[str, tuple] = {}
        for key, text, error in written:
            store.append("shelf", [{"response_key": str(key), "response": text, "error": error}])
            if error is None or expected.get(str(key), ("", ""))[1] is not None:
                expected[str(key)] = (text, error)
        rows = store.read("shelf", ["response_key", "response", "error"]).to_pylist()
    assert {r["response_key"]: (r["response"], r["error"]) for r in rows} == expected
    assert len(rows) == len(expected)


@given(st.lists(st.lists(st.floats(-9, 9, width=32), min_size=3, max_size=3), min_size=1))
@FEW
def test_each_prompt_goes_to_its_best_teacher_and_ties_to_the_first(scores: list) -> None:
    teachers = ["a", "b", "c"]
    array = np.array(scores, dtype=np.float32)
    ids = [str(i) for i in range(len(scores))]
    rows = [r for b in assignments(ids, [array[:2], array[2:]], teachers) for r in b.to_pylist()]
    assert [r["prompt_id"] for r in rows] == ids
    for line, made in zip(array.tolist(), rows, strict=True):
        assert made["teacher"] == teachers[line.index(max(line))]
        assert made["margin"] >= 0
        ranked = ranked_teachers(line, teachers)
        assert ranked[0] == made["teacher"] and sorted(ranked) == teachers
        assert sorted(line, reverse=True) == [line[teachers.index(t)] for t in ranked]
