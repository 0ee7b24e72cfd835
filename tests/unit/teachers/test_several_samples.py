"""Several answers of a teacher to a prompt: their keys, seeds, calls and rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.domain.prompts.chosen import ChosenPrompts
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.import_answers import import_responses
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import seed_for, settings_id, text_id
from tests.support.fake_engine import FakeEngine, answer, answer_by, recipe
from tests.support.tables import prompts_of

PROMPTS = prompts_of({"p": "one", "q": "two"})


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    engine = FakeEngine()
    answer_by(monkeypatch, engine.generate)
    return engine


def places(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(row["prompt_id"], row["sample_index"]) for row in rows]


def test_each_sample_has_its_key_its_seed_and_its_row(fake: FakeEngine, tmp_path: Path) -> None:
    a, store = recipe("a"), ResponseStore(tmp_path)
    rows, calls = answer({"a": PROMPTS.several(3)}, [a], store, seed=5)
    assert places(rows) == [("p", 0), ("p", 1), ("p", 2), ("q", 0), ("q", 1), ("q", 2)]
    for row in rows:
        identity = {name: row[name] for name in ("prompt_id", "sample_index")}
        whole = {**identity, "weights_id": a.weights_id, "recipe_id": a.recipe_id}
        assert row["response_key"] == settings_id(whole)
    assert {r.key: r.seed for r in fake.requests} == {
        row["response_key"]: seed_for(5, "response", row["response_key"]) for row in rows
    }
    assert len({r.seed for r in fake.requests}) == 6
    assert (calls["a"]["responses"], calls["a"]["calls"]) == (6, 6)
    stored = store.read(a.shelf).to_pylist()
    assert sorted(places(stored)) == places(rows)


def test_the_first_sample_is_the_answer_from_before(fake: FakeEngine, tmp_path: Path) -> None:
    a, store = recipe("a"), ResponseStore(tmp_path)
    (before, _), before_requests = answer({"a": [*PROMPTS]}, [a], store), [*fake.requests]
    rows, calls = answer({"a": PROMPTS.several(2)}, [a], store)
    assert [row for row in rows if row["sample_index"] == 0] == before
    assert calls["a"]["calls"] == 2
    again, calls = answer({"a": PROMPTS.several(2)}, [a], store)
    assert again == rows and calls["a"]["calls"] == 0
    assert {r.key for r in before_requests} == {row["response_key"] for row in before}


def test_two_teachers_of_one_recipe_share_the_samples_that_both_want(
    fake: FakeEngine, tmp_path: Path
) -> None:
    wanted = {"a": PROMPTS.several(2), "b": PROMPTS.several(3)}
    rows, calls = answer(wanted, [recipe("a"), recipe("b")], ResponseStore(tmp_path))
    assert (calls["a"]["calls"], calls["b"]["calls"]) == (4, 2)
    assert len(rows) == 10 and len(fake.requests) == 6


def test_failed_samples_alone_are_asked_for_again(fake: FakeEngine, tmp_path: Path) -> None:
    store = ResponseStore(tmp_path)
    fake.failing = {"one"}
    rows, calls = answer({"a": PROMPTS.several(2)}, [recipe("a")], store)
    assert [row["error"] is None for row in rows] == [False, False, True, True]
    fake.failing = set()
    rows, calls = answer({"a": PROMPTS.several(2)}, [recipe("a")], store)
    assert calls["a"]["calls"] == 2 and all(row["error"] is None for row in rows)


def test_chosen_prompts_say_which_answers_they_stand_for() -> None:
    several = PROMPTS.several(2)
    assert [*several] == [("p", "one"), ("p", "one"), ("q", "two"), ("q", "two")]
    assert several.samples.tolist() == [0, 1, 0, 1]
    assert PROMPTS.samples.tolist() == [0, 0] and [*PROMPTS.several(1)] == [*PROMPTS]
    both = PROMPTS.with_others([several, PROMPTS])
    assert isinstance(both, ChosenPrompts)
    found = zip(both.ids.to_pylist(), both.samples.tolist(), strict=True)
    assert [*found] == [("p", 0), ("q", 0), ("p", 1), ("q", 1)]


LINES = [
    {"prompt": "one", "teacher": "a", "response": "1"},
    {"prompt": "one", "teacher": "a", "response": "uno", "sample_index": 1},
]


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_imported_answers_may_be_several(fake: FakeEngine, tmp_path: Path) -> None:
    a, store = recipe("a"), ResponseStore(tmp_path / "store")
    assert import_responses(write(tmp_path / "f", LINES), [a], store) == {"a": 2}
    rows, calls = answer({"a": prompts_of({text_id("one"): "one"}).several(2)}, [a], store)
    assert [row["response"] for row in rows] == ["1", "uno"] and calls["a"]["calls"] == 0


@pytest.mark.parametrize("index", [-1, 1000, 1.0, "1", True, None])
def test_an_index_that_is_none_is_refused(tmp_path: Path, index: Any) -> None:
    file = write(tmp_path / "f", [{**LINES[0], "sample_index": index}])
    with pytest.raises(PersynError) as error:
        import_responses(file, [recipe("a")], ResponseStore(tmp_path / "store"))
    assert f"Line 1 of {file} has sample_index {index!r}; use a whole number" in str(error.value)


def test_a_second_answer_under_one_index_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "f", [LINES[0], {**LINES[1], "sample_index": 0}])
    with pytest.raises(PersynError, match="keep only one, or give each a sample_index"):
        import_responses(file, [recipe("a")], ResponseStore(tmp_path / "store"))
