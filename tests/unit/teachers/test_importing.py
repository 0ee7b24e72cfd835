"""Answers that a user brings: stored under the teacher's key, whole files only."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from persyn_kedro.domain import teachers
from persyn_kedro.domain.planning.lengths import lengths_of
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.import_answers import import_responses
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings


def recipe(teacher: str, weights_id: str) -> Recipe:
    model = SimpleNamespace(
        name=teacher,
        weights_id=weights_id,
        chat_template="t",
        directory=Path("nowhere"),
        settings=ModelSettings(zoo="smollm2"),
    )
    return Recipe(teacher, model, None, SamplingSettings())  # type: ignore[arg-type]


RECIPES = [recipe("a", "w"), recipe("b", "v")]
ROWS = [
    {"prompt": "1+1?", "teacher": "a", "response": "2"},
    {"prompt": "1+1?", "teacher": "b", "response": "It is 2", "finish_reason": "length"},
    {"prompt": "2+2?", "teacher": "a", "response": "4"},
]


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))
    return path


def test_imported_answers_are_never_paid_for(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path / "store")
    file = write(tmp_path / "r.jsonl", ROWS)
    assert import_responses(file, RECIPES, store) == {"a": 2, "b": 1}
    assert import_responses(file, RECIPES, store) == {"a": 0, "b": 0}
    prompts = [(text_id(p), p) for p in ("1+1?", "2+2?")]
    wanted = {"a": prompts, "b": prompts[:1]}
    responses, calls = teachers.answer(wanted, RECIPES, store, EngineSettings(), 0)
    assert responses["response"].to_pylist() == ["2", "4", "It is 2"]
    assert responses["finish_reason"].to_pylist() == ["stop", "stop", "length"]
    assert set(responses["engine"].to_pylist()) == {"import"}
    assert sum(calls["calls"].to_pylist()) == 0


def test_the_tokens_that_a_file_gives_are_counted(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path / "store")
    counted = {**ROWS[0], "prompt_tokens": 12, "completion_tokens": 3}
    import_responses(write(tmp_path / "r.jsonl", [counted, ROWS[2]]), RECIPES, store)
    known = lengths_of(RECIPES[0], store.read(RECIPES[0].shelf), [])
    assert (known.prompt, known.completion) == (12, 3)  # not the mean with the uncounted one
    assert known.basis == "the mean of 1 answers in the store"


def test_what_other_readers_take_for_line_ends_stays_within_an_answer(tmp_path: Path) -> None:
    odd = "a\u2028b\x85c\u2029d"
    row = json.dumps({**ROWS[0], "response": odd}, ensure_ascii=False)
    file = tmp_path / "r.jsonl"
    file.write_text(f"\ufeff{row}\r\n\r\n", encoding="utf-8")  # with a byte order mark
    store = ResponseStore(tmp_path / "store")
    assert import_responses(file, RECIPES, store) == {"a": 1, "b": 0}
    assert store.read(RECIPES[0].shelf)["response"].to_pylist() == [odd]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{oops", "Line 4 of .* is not JSON"),
        ([1], "Line 4 of .* is not a JSON object"),
        ({**ROWS[0], "teacher": "x"}, "Line 4 of .* has unknown teacher 'x'; available: a, b"),
        ({**ROWS[0], "response": " "}, "Line 4 of .* has no text in 'response'"),
        ("[" * 100_000, "Line 4 of .* is not JSON"),
        ({**ROWS[0], "response": "3"}, "Line 4 of .* a second answer"),
        ({**ROWS[0], "response": "a\ud83d"}, "Line 4 of .* invalid Unicode .* in 'response'"),
        ({**ROWS[0], "prompt": "a\ud83d"}, "Line 4 of .* invalid Unicode .* in 'prompt'"),
        ({**ROWS[0], "finish_reason": "error"}, "Line 4 of .* use 'stop' or 'length'"),
        ({**ROWS[0], "completion_tokens": 3}, "Line 4 of .* prompt_tokens None .* give both"),
        (
            {**ROWS[0], "prompt_tokens": 9, "completion_tokens": 0},
            "Line 4 of .* completion_tokens 0; give both as whole numbers from 1",
        ),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_stored(
    tmp_path: Path, line: object, sentence: str
) -> None:
    store = ResponseStore(tmp_path / "store")
    with pytest.raises(PersynError, match=sentence):
        import_responses(write(tmp_path / "r.jsonl", [*ROWS, line]), RECIPES, store)
    assert not (tmp_path / "store").exists()
