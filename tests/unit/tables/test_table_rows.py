"""Rows of a table on disk, read by number or block by block: those of plain dictionaries."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from hypothesis import given, settings, strategies as st

from persyn_kedro.domain.prompts import prepare as preparation
from persyn_kedro.domain.prompts.chosen import ChosenPrompts
from persyn_kedro.domain.prompts.select import (
    find_rows,
    find_texts,
    select_ids,
    select_rows,
    select_texts,
)
from persyn_kedro.domain.routers.assignment import ranked
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.messages import PROMPT
from persyn_kedro.foundations.tables.rows import TableRows, TextColumn, read_blocks
from persyn_kedro.foundations.tables.seen_keys import SeenKeys
from tests.support.tables import dataset, on_disk

pytestmark = pytest.mark.usefixtures("small_blocks")

FEW = settings(max_examples=60)
PLACES = [("train", "sft"), ("train", "withheld"), ("test", None)]


@given(st.lists(st.lists(st.text("ab", max_size=4)), max_size=6))
@FEW
def test_keys_are_known_from_the_second_call_on(calls: list[list[str]]) -> None:
    seen, before = SeenKeys(), set[str]()
    for keys in calls:
        assert seen.known(keys).tolist() == [key in before for key in keys]
        before.update(keys)


@given(st.lists(st.integers(0, 199), max_size=90))
@FEW
def test_rows_by_number_are_those_of_the_table(rows: list[int]) -> None:
    table = pa.table({"n": range(200), "text": [f"t{n}" for n in range(200)]})
    pieces = pads.UnionDataset(table.schema, [pads.dataset(table[:70]), pads.dataset(table[70:])])
    taken = TableRows(pieces, ["text", "n"])
    for _ in range(2):  # read, then held
        assert taken.take(np.array(rows, int)).to_pylist() == [
            {"text": f"t{n}", "n": n} for n in rows
        ]


def test_a_row_group_is_read_once_where_each_of_several_places_is_in_order(tmp_path: Path) -> None:
    data = on_disk(tmp_path / "t.parquet", pa.table({"n": range(512)}))
    rows, reads = TableRows(data, ["n"]), []
    read = rows._read
    rows._read = lambda piece: reads.append(piece) or read(piece)  # type: ignore
    order = np.arange(512).reshape(4, 128).T.ravel()  # one of each quarter in turn
    found = [block["n"].to_pylist() for _, block in rows.blocks(order)]
    assert sum(found, []) == order.tolist()
    assert sorted(reads) == list(range(8))
    assert len(rows._held) <= 4


def test_a_text_column_is_a_sequence_that_another_process_can_read(tmp_path: Path) -> None:
    import pickle

    texts = [f"t{n}" for n in range(100)]
    column = TextColumn(on_disk(tmp_path / "t.parquet", pa.table({"text": texts})), "text")
    for own in (column, pickle.loads(pickle.dumps(column))):
        assert len(own) == 100 and own[30:90] == texts[30:90] and list(own) == texts
        assert (own[-1], own[::40]) == ("t99", texts[::40])
        with pytest.raises(IndexError):
            own[100]


def test_chosen_prompts_read_only_the_texts_gone_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    plain = TableRows._read
    monkeypatch.setattr(TableRows, "_read", lambda rows, n: read.append(n) or plain(rows, n))
    nulls = pa.nulls(640, schemas.MESSAGES)
    table = pa.table({"prompt": [f"t{i}" for i in range(640)], "messages": nulls})
    rows = TableRows(on_disk(tmp_path / "p.parquet", table), PROMPT)
    chosen = ChosenPrompts(rows, pa.array([f"p{i}" for i in range(640)]), np.arange(0, 640, 2))
    assert chosen.ids[1].as_py() == "p2" and len(chosen) == 320
    assert not read
    assert next(iter(chosen)) == ("p0", "t0") and read == [0]
    read.clear()
    # Two that read in turns, as models that are asked at once do, do not disturb each other.
    backwards = chosen.at(np.arange(320)[::-1])
    both = list(zip(chosen, backwards, strict=True))
    assert [one for one, _ in both] == [(f"p{i}", f"t{i}") for i in range(0, 640, 2)]
    assert [other for _, other in both] == [(f"p{i}", f"t{i}") for i in range(638, -1, -2)]
    assert sorted(read) == sorted([*range(10), *range(10)])
    assert chosen[3] == ("p6", "t6") and chosen[1:3] == [("p2", "t2"), ("p4", "t4")]


def test_blocks_follow_the_table(tmp_path: Path) -> None:
    data = on_disk(tmp_path / "p.parquet", pa.table({"n": range(640), "m": range(640)}))
    blocks = list(read_blocks(data, ["n"]))
    assert [n for b in blocks for n in b["n"].to_pylist()] == list(range(640))
    assert ranked(np.array([[1.0, 2.0, 2.0]]), 3).tolist() == [[1, 2, 0]]


@given(
    st.permutations(range(6)),
    st.lists(
        st.sampled_from([("train", "sft"), ("train", "withheld"), ("test", None)]), min_size=6
    ),
)
@FEW
def test_selected_prompts_are_those_of_a_dictionary(
    order: list[int], places: list[tuple[str, str | None]]
) -> None:
    rows = [
        {"prompt_id": f"p{i}", "prompt": f"t{i}", "split": places[i][0], "part": places[i][1]}
        for i in order
    ]
    prompts = dataset(rows, schemas.PROMPTS)
    for splits, parts in ((["train"], None), (["train", "test"], None), (["train"], ["sft"])):
        chosen = [
            (row_number, row)
            for row_number, row in enumerate(rows)
            if row["split"] in splits and (parts is None or row["part"] in parts)
        ]
        assert select_ids(prompts, splits, parts).to_pylist() == [
            {"row": n, "prompt_id": row["prompt_id"], "part": row["part"]} for n, row in chosen
        ]
        columns = ["prompt_id", "part"]
        assert select_rows(prompts, splits, parts, columns) == [
            {name: row[name] for name in columns} for _, row in chosen
        ]
        texts = select_texts(prompts, splits, parts)
        assert list(texts) == [(row["prompt_id"], row["prompt"]) for _, row in chosen]


@given(st.permutations(range(6)), st.lists(st.integers(0, 5)))
@FEW
def test_found_prompts_are_those_of_a_dictionary(order: list[int], asked: list[int]) -> None:
    prompts = dataset([{"prompt_id": f"p{i}", "prompt": f"t{i}"} for i in order], schemas.PROMPTS)
    ids = pa.array([f"p{i}" for i in asked], pa.string())
    once = list(dict.fromkeys(asked))
    assert list(find_texts(prompts, ids)) == [(f"p{i}", f"t{i}") for i in once]
    empty = dict.fromkeys(("reference", "source", "metadata", "messages", "kept"))
    assert find_rows(prompts, ids) == {
        f"p{i}": {"prompt_id": f"p{i}", "prompt": f"t{i}", **empty} for i in asked
    }
    with pytest.raises(KeyError, match="p7"):
        find_texts(prompts, pa.array(["p7"]))


def test_prompts_of_an_older_program_are_told_from_those_with_splits() -> None:
    older = dataset([{"prompt_id": "p", "prompt": "t"}], schemas.SOURCE_PROMPTS)
    for select in (select_ids, select_rows, select_texts):
        with pytest.raises(PersynError, match="no splits yet: run `kedro run --pipelines=prepare`"):
            select(older, ["train"])


@given(st.lists(st.sampled_from("abcdef") | st.text(min_size=1).filter(str.strip), min_size=1))
@FEW
def test_prompts_are_those_of_a_dictionary_over_all_blocks(texts: list[str]) -> None:
    texts = [t for t in texts * 40 if not any("\ud800" <= c <= "\udfff" for c in t)] or ["a"]
    rows = [
        {
            "prompt": t,
            "reference": None,
            "source": "s",
            "metadata": str(i),
            "messages": None,
            "kept": None,
        }
        for i, t in enumerate(texts)
    ]
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(text_id(row["prompt"]), row)
    found = preparation.prepare_prompts(rows).read_all().to_pylist()
    assert found == [{"prompt_id": i, **row} for i, row in first.items()]
