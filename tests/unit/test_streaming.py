"""Tables of any length: the same rows as by plain dictionaries, and never all of them in memory."""

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persyn_kedro.domain.prompts import preparation
from persyn_kedro.domain.prompts.chosen import ChosenPrompts, in_memory
from persyn_kedro.domain.prompts.selection import select_prompts
from persyn_kedro.domain.routers import assignment
from persyn_kedro.domain.routers.assignment import assignments, ranked, ranked_places
from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.teachers import answering
from persyn_kedro.domain.teachers.recipes import Recipe
from persyn_kedro.domain.training_set import merge
from persyn_kedro.domain.training_set.checking import exact_checker, streaming_checker
from persyn_kedro.domain.training_set.merge import is_trainable, trainable_text
from persyn_kedro.domain.training_set.routed import routed_rounds
from persyn_kedro.foundations import schemas, table_rows
from persyn_kedro.foundations.hashing import settings_id, text_id
from persyn_kedro.foundations.model_parameters import SamplingSettings
from persyn_kedro.foundations.seen_keys import SeenKeys
from persyn_kedro.foundations.step_parameters import GenerateSettings, PrepareSettings, PromptSource
from persyn_kedro.foundations.table_rows import TableRows, TextColumn, read_blocks
from tests.tables import dataset, sft_rows

TEACHERS = ["a", "b", "c"]
FEW = settings(max_examples=60)
FINISHES = st.sampled_from(["stop", "length", "error"])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (table_rows, preparation, assignment, merge, answering):
        monkeypatch.setattr(module, "BLOCK", 64)


def on_disk(path: Path, table: pa.Table) -> pads.Dataset:
    pq.write_table(table, path, row_group_size=64)
    return pads.dataset(path)


def memory_of(read: Callable[[], None]) -> int:
    """Return the most bytes that Python objects took at once."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def read_through(reader: pa.RecordBatchReader) -> None:
    for _ in reader:
        pass


# The pieces that are read a block at a time.


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


# The steps, against dictionaries.


@given(st.lists(st.sampled_from("abcdef") | st.text(min_size=1).filter(str.strip), min_size=1))
@FEW
def test_prompts_are_those_of_a_dictionary_over_all_blocks(texts: list[str]) -> None:
    texts = [t for t in texts * 40 if not any("\ud800" <= c <= "\udfff" for c in t)] or ["a"]
    rows = [
        {"prompt": t, "reference": None, "source": "s", "metadata": str(i)}
        for i, t in enumerate(texts)
    ]
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(text_id(row["prompt"]), row)
    found = preparation.prepare_prompts(rows).read_all().to_pylist()
    assert found == [{"prompt_id": i, **row} for i, row in first.items()]


@given(st.permutations(range(6)), st.lists(st.sampled_from(["train", "test"]), min_size=6))
@FEW
def test_selected_prompts_are_those_of_a_dictionary(order: list[int], places: list[str]) -> None:
    prompts = pa.table({"prompt_id": [str(i) for i in order], "prompt": ["?"] * 6})
    rows = [{"prompt_id": str(i), "split": places[i], "part": None} for i in range(6)]
    found = select_prompts(prompts, pa.Table.from_pylist(rows, schemas.SPLITS), {"train"})
    assert [r["prompt_id"] for r in found] == [str(i) for i in order if places[i] == "train"]
    with pytest.raises(KeyError):
        select_prompts(prompts, pa.Table.from_pylist(rows[1:], schemas.SPLITS), {"train"})


@given(st.text(), st.text(), st.integers(0, 9))
@FEW
def test_a_response_key_is_the_hash_of_its_settings(prompt_id: str, weights: str, n: int) -> None:
    model: Any = SimpleNamespace(weights_id=weights, chat_template="t")
    recipe = Recipe("a", model, None, SamplingSettings())
    names = {"weights_id": weights, "recipe_id": recipe.recipe_id, "prompt_id": prompt_id}
    assert recipe.response_key(prompt_id, n) == settings_id({**names, "sample_index": n})


def test_places_of_scores_are_ranked_as_teachers_are() -> None:
    scores = np.random.default_rng(0).integers(0, 3, (200, 3)).astype(np.float32)  # ties
    ids = [f"p{i}" for i in range(200)]
    table = pa.Table.from_batches(assignments(ids, [scores[:130], scores[130:]], TEACHERS))
    found, places = ranked_places(pads.dataset(table), 2)
    assert found.to_pylist() == ids and places.shape == (200, 2)
    for row, line in zip(table.to_pylist(), places, strict=True):
        expected = assignment.ranked_teachers(row["scores"], TEACHERS)
        assert [TEACHERS[k] for k in line] == expected[:2]
        assert row["teacher"] == expected[0]
    assert ranked_places(pads.dataset(table), 9)[1].shape == (200, 3)
    assert len(ranked_places(pads.dataset(schemas.ASSIGNMENTS.empty_table()), 2)[1]) == 0


def plain_rounds(
    prompts: dict[str, str],
    choices: dict[str, list[str]],
    setting: GenerateSettings,
    allow_truncated: bool,
    outcome: Callable[[str, str], dict[str, Any]],
) -> list[dict[str, Any]]:
    """The rounds with a dictionary for each row."""
    several = "next_choice" in (setting.verification, setting.on_failure)
    open_prompts, kept = list(prompts), []
    for rank in range(setting.max_calls if several else 1):
        open_prompts = [p for p in open_prompts if rank < len(choices[p])]
        pairs = [(t, p) for t in TEACHERS for p in open_prompts if choices[p][rank] == t]
        rows = [{**outcome(t, p), "rank": rank} for t, p in pairs]
        rejected = set()
        for row in rows:
            failed = row["finish_reason"] == "error"
            wrong = row["quality"] == 0.0
            if setting.verification == "next_choice":
                wrong |= not is_trainable(row, allow_truncated)
            if setting.verification == "keep":
                wrong = False
            if wrong or (failed and setting.on_failure == "next_choice"):
                rejected.add(row["prompt_id"])
        kept += [row for row in rows if row["prompt_id"] not in rejected]
        open_prompts = [p for p in open_prompts if p in rejected]
    return kept


@given(
    st.lists(st.permutations(TEACHERS), max_size=8),
    st.sampled_from(["keep", "drop", "next_choice"]),
    st.sampled_from(["leave_out", "next_choice"]),
    st.booleans(),
    st.integers(0, 1000),
)
@FEW
def test_rounds_are_those_of_dictionaries(
    orders: list[list[str]], verification: str, on_failure: str, allow: bool, seed: int
) -> None:
    setting = GenerateSettings(verification=verification, on_failure=on_failure, max_calls=2)  # type: ignore[arg-type]
    prompts = {f"p{i}": f"text {i}" for i in range(len(orders))}
    choices = dict(zip(prompts, orders, strict=True))

    def outcome(teacher: str, prompt_id: str) -> dict[str, Any]:
        draw = np.random.default_rng([seed, ord(teacher), int(prompt_id[1:])])
        finish = draw.choice(["stop", "length", "error"])
        quality = draw.choice([None, 0.0, 1.0])
        row = dict.fromkeys(schemas.OUTCOMES.names)
        key = teacher + prompt_id
        row |= {"teacher": teacher, "prompt_id": prompt_id, "response_key": key}
        return {**row, "finish_reason": str(finish), "quality": quality}

    places = np.array([[TEACHERS.index(t) for t in line] for line in orders]).reshape(-1, 3)
    rounds = routed_rounds(in_memory(prompts), places, TEACHERS, setting, allow)
    answered = None
    while True:
        try:
            wanted = rounds.send(answered)  # type: ignore[arg-type]
        except StopIteration as end:
            found = end.value.to_pylist()
            break
        assert all(prompts[p] == text for pairs in wanted.values() for p, text in pairs)
        rows = [outcome(t, p) for t, pairs in wanted.items() for p, _ in pairs]
        answered = tuple(pa.Table.from_pylist(rows, s) for s in (schemas.OUTCOMES, schemas.QUALITY))
    assert found == plain_rounds(prompts, choices, setting, allow, outcome)


@given(
    st.lists(st.tuples(st.sampled_from(TEACHERS), FINISHES, st.text("ab <>think/", max_size=9))),
    st.lists(st.sampled_from([None, 0.25]), min_size=9, max_size=9),
    st.sampled_from([None, "", "Be kind."]),
    st.booleans(),
    st.sets(st.integers(0, 9)),
)
@FEW
def test_the_training_set_is_that_of_dictionaries(
    answers: list[tuple[str, str, str]],
    known: list[float | None],
    system: str | None,
    allow: bool,
    unsolved: set[int],
) -> None:
    parts = ["fit", "withheld", "sft"]
    prompts = {f"p{i}": {"prompt": f"{i}?", "part": parts[i % 3]} for i in range(len(answers) + 2)}
    thinks: Any = {"a": "keep", "b": "strip", "c": "strip"}
    routed = [
        {"prompt_id": f"p{i}", "response_key": f"k{i}", "teacher": t}
        | {"finish_reason": f, "response": text}
        for i, (t, f, text) in enumerate(answers)
    ]
    routed.sort(key=lambda row: row["teacher"])
    scores = {p: [float(i), 0.5] for i, p in enumerate(reversed(prompts))}
    rewards = dict(zip(((f"p{i}", t) for i in range(3) for t in TEACHERS), known, strict=True))
    left_out = frozenset(f"p{i}" for i in unsolved)
    found = sft_rows(
        pa.Table.from_pylist(routed, schemas.ROUTED_RESPONSES),
        prompts, scores, rewards, thinks, system, allow, left_out,
    )  # fmt: skip
    expected = []
    for row in sorted(routed, key=lambda row: int(row["prompt_id"][1:])):
        p, t = row["prompt_id"], row["teacher"]
        text = trainable_text(row, thinks[t], allow)
        if text is None or p in left_out:
            continue
        messages = [{"role": "user", "content": prompts[p]["prompt"]}]
        expected.append(
            {
                "prompt": ([{"role": "system", "content": system}] if system is not None else [])
                + messages,
                "completion": [{"role": "assistant", "content": text}],
                "teacher": t,
                "scores": scores[p],
                "reward": rewards.get((p, t)),
                "prompt_id": p,
                "response_key": row["response_key"],
                "part": "withheld" if prompts[p]["part"] == "withheld" else "sft",
            }
        )
    assert found == expected


def test_quality_of_blocks_is_that_of_the_whole(tmp_path: Path) -> None:
    from persyn_kedro.domain.stores.quality_store import QualityStore

    prompts = [
        {"prompt_id": f"p{i}", "prompt": "?", "source": "s", "reference": str(i) if i % 3 else None}
        for i in range(150)
    ]
    rows = [
        dict.fromkeys(schemas.RESPONSES.names)
        | {"prompt_id": f"p{i}", "teacher": "a", "response_key": f"k{i}", "finish_reason": "stop"}
        | {"response": f"\\boxed{{{i - i % 2}}}"}
        for i in reversed(range(150))
    ]
    table = pa.Table.from_pylist(rows, schemas.RESPONSES)
    by_id = {
        row["prompt_id"]: row for row in dataset(prompts, schemas.PROMPTS).to_table().to_pylist()
    }
    whole = exact_checker(by_id, {"a": "keep"}, QualityStore(tmp_path / "whole"))(table)

    def texts(outcomes: pa.Table) -> Iterator[pa.RecordBatch]:
        own = {row["response_key"]: row for row in rows}
        for start in range(0, len(outcomes), 40):
            keys = outcomes["response_key"][start : start + 40].to_pylist()
            yield pa.RecordBatch.from_pylist([own[k] for k in keys], schemas.RESPONSES)

    store = QualityStore(tmp_path / "blocks")
    check = streaming_checker(dataset(prompts, schemas.PROMPTS), {"a": "keep"}, store, texts)
    for _ in range(2):  # checked, then known
        assert check(table.select(schemas.OUTCOMES.names)).equals(whole)


# Nothing holds all rows.


def test_prompts_and_splits_are_made_as_they_are_read() -> None:
    read = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal read
        for read in range(1, 1001):
            yield {"prompt": f"p{read}", "reference": None, "source": "s", "metadata": None}

    prompts = preparation.prepare_prompts(rows())
    assert len(prompts.read_next_batch()) == 64 == read
    place = PrepareSettings(source=PromptSource(file="p.jsonl"))
    ids = (row["prompt"] for row in rows())
    assert len(preparation.split_prompts(ids, place, 0).read_next_batch()) == 64 == read


def test_assignments_are_made_as_scores_come() -> None:
    made = 0

    def scores() -> Iterator[np.ndarray]:
        nonlocal made
        while made < 100:
            made += 1
            yield np.zeros((16, 3), np.float32)

    batch = next(assignments([f"p{i}" for i in range(1600)], scores(), TEACHERS))
    assert len(batch) == 64 and made == 4


def test_of_stored_answers_only_one_teachers_are_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ResponseStore(tmp_path)
    recipes = [
        SimpleNamespace(teacher=t, shelf=t, weights_id=f"w{t}", recipe_id=f"r{t}") for t in TEACHERS
    ]
    row = dict.fromkeys(schemas.OUTCOMES.names)
    outcomes = [
        row | {"teacher": t, "response_key": f"{t}{i}", "prompt_id": f"p{i}"}
        | {"error": "no" if i == 7 else None}
        for t in TEACHERS for i in range(100)
    ]  # fmt: skip
    for t in TEACHERS:
        keys = [o["response_key"] for o in outcomes if o["teacher"] == t and not o["error"]]
        store.append(t, [{"response_key": k, "response": f"of {k}"} for k in reversed(keys)])
    read: list[str] = []
    plain = store.read
    monkeypatch.setattr(
        store, "read", lambda shelf, columns: read.append(shelf) or plain(shelf, columns)
    )  # type: ignore
    table = pa.Table.from_pylist(outcomes, schemas.OUTCOMES)
    found = []
    for number, batch in enumerate(answering.with_texts(table, recipes, store)):  # type: ignore[arg-type]
        assert len(batch) <= 64 and len(read) == number // 2 + 1
        found += batch.to_pylist()
    assert found == [
        {**o, "response": "" if o["error"] else f"of {o['response_key']}", "sample_index": 0}
        | {"weights_id": f"w{o['teacher']}", "recipe_id": f"r{o['teacher']}"}
        for o in outcomes
    ]


def test_neither_responses_nor_scores_are_all_python_objects_at_once(tmp_path: Path) -> None:
    count, text = 4000, "x" * 1000
    ids = [f"p{i:04d}" for i in range(count)]
    prompts = pa.table({"prompt_id": ids, "prompt": ids})
    routed = pa.table(
        {
            "prompt_id": [*ids[::2], *ids[1::2]],
            "teacher": ["a"] * (count // 2) + ["b"] * (count // 2),
            "response": [text] * count,
            "finish_reason": ["stop"] * count,
            "response_key": ids,
        }
    )
    chosen = pa.table({"row": range(count), "prompt_id": ids, "part": ["sft"] * count})
    scored = pa.table({"prompt_id": ids, "scores": np.zeros((count, 20), np.float32).tolist()})
    scored = scored.cast(
        pa.schema([("prompt_id", pa.string()), ("scores", pa.list_(pa.float32()))])
    )
    sources = [
        on_disk(tmp_path / name, table)
        for name, table in {"routed": routed, "prompts": prompts, "scored": scored}.items()
    ]
    rewards = dataset([], schemas.REWARDS)

    def build() -> None:
        thinks: Any = {"a": "keep", "b": "keep"}
        read_through(
            merge.build_sft_dataset(
                sources[0], sources[1], chosen, sources[2], rewards, thinks, None, False
            )
        )

    build()  # what is imported on the way does not count
    assert memory_of(build) < count * len(text) / 10


def test_chosen_prompts_read_only_the_texts_gone_through(tmp_path: Path) -> None:
    data = on_disk(tmp_path / "p.parquet", pa.table({"prompt": [f"t{i}" for i in range(640)]}))
    rows = TableRows(data, ["prompt"])
    chosen = ChosenPrompts(rows, pa.array([f"p{i}" for i in range(640)]), np.arange(0, 640, 2))
    assert chosen.ids[1].as_py() == "p2" and len(chosen) == 320
    assert not rows._held
    assert next(iter(chosen)) == ("p0", "t0") and len(rows._held) == 2
    assert list(chosen) == [(f"p{i}", f"t{i}") for i in range(0, 640, 2)]
    assert chosen[3] == ("p6", "t6") and chosen[1:3] == [("p2", "t2"), ("p4", "t4")]


def test_blocks_follow_the_table(tmp_path: Path) -> None:
    data = on_disk(tmp_path / "p.parquet", pa.table({"n": range(640), "m": range(640)}))
    blocks = list(read_blocks(data, ["n"]))
    assert [n for b in blocks for n in b["n"].to_pylist()] == list(range(640))
    assert ranked(np.array([[1.0, 2.0, 2.0]]), 3).tolist() == [[1, 2, 0]]
