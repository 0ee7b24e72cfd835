"""Tables are made as they are read: never all of them is in memory."""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from persyn_kedro.domain import teachers
from persyn_kedro.domain.engines.base import Generation
from persyn_kedro.domain.prompts import prepare as preparation
from persyn_kedro.domain.prompts.chosen import ChosenPrompts
from persyn_kedro.domain.routers.assignment import assignments
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.domain.training_set import merge
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.prepare import PrepareSettings, PromptSource
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.messages import PROMPT
from persyn_kedro.foundations.tables.rows import TableRows, read_blocks
from tests.support.fake_engine import answer_by
from tests.support.tables import dataset, on_disk

pytestmark = pytest.mark.usefixtures("small_blocks")

TEACHERS = ["a", "b", "c"]


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


def test_prompts_and_splits_are_made_as_they_are_read() -> None:
    read = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal read
        for read in range(1, 1001):
            yield {"prompt": f"p{read}", "reference": None, "source": "s", "metadata": None}

    prompts = preparation.prepare_prompts(rows())
    assert len(prompts.read_next_batch()) == 64 == read
    place = PrepareSettings(source=PromptSource(file="p.jsonl"))
    split = preparation.split_prompts(preparation.prepare_prompts(rows()), place, 0)
    assert len(split.read_next_batch()) == 64 == read


def test_a_table_is_not_read_ahead_of_a_slow_reader(tmp_path: Path) -> None:
    text = pa.array([f"{i} {'x' * 10_000}" for i in range(2000)])
    data = on_disk(tmp_path / "t.parquet", pa.table({"text": text}))
    size, before = text.nbytes, pa.total_allocated_bytes()
    for number, _ in enumerate(read_blocks(data, ["text"])):
        if number < 2:
            time.sleep(0.2)  # long enough for all of it to be read
        assert pa.total_allocated_bytes() - before < size / 4


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
    row = {**dict.fromkeys(schemas.OUTCOMES.names), "sample_index": 0}
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
    for number, batch in enumerate(teachers.with_texts(table, recipes, store)):  # type: ignore[arg-type]
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
    rows = [{"prompt_id": i, "prompt": i} for i in ids]
    prompts = pa.Table.from_pylist(rows, schemas.PROMPTS)
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


def test_the_calls_of_a_model_are_not_all_python_objects_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts are read, asked and stored as the model goes through them."""
    count, text = 8000, "x" * 8000
    ids = [f"p{i:04d}" for i in range(count)]
    texts, nulls = [f"{i} {text}" for i in ids], pa.nulls(count, schemas.MESSAGES)
    table = pa.table({"prompt_id": ids, "prompt": texts, "messages": nulls})
    del texts
    prompts = on_disk(tmp_path / "prompts", table)

    def answers(engine: Any, requests: Any) -> Iterator[Any]:
        for request in requests:
            yield Generation(request.key, request.prompt[:100], "stop", 2, 1)

    answer_by(monkeypatch, answers)
    settings = ModelSettings(random="chat", dtype="float32")
    model = SimpleNamespace(
        name="m", weights_id="w", chat_template="t", directory=tmp_path, settings=settings
    )
    teacher = Recipe("a", model, None, SamplingSettings())  # type: ignore[arg-type]
    wanted = {
        "a": ChosenPrompts(
            TableRows(prompts, PROMPT), table["prompt_id"].combine_chunks(), np.arange(count)
        )
    }
    engine = EngineSettings(name="transformers", chunk_size=512)
    outcomes: list[pa.Table] = []

    def ask() -> None:
        store = ResponseStore(tmp_path / "store")
        outcomes.append(teachers.make_sure(wanted, [teacher], store, engine, 0)[0])

    assert memory_of(ask) < 0.15 * table.nbytes  # 0.09
    assert outcomes[0]["prompt_id"].to_pylist() == ids
    assert outcomes[0]["error"].null_count == count
