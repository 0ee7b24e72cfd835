"""Teachers and the student asked with conversations: messages, identities, keys and plans."""

import json
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.domain.engines.base import Request
from persyn_kedro.domain.engines.hosted import holds_marker
from persyn_kedro.domain.planning.lengths import prompt_tokens
from persyn_kedro.domain.quality.own_function import function_scores
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.student.test_set import STUDENT, Exam
from persyn_kedro.domain.teachers.import_answers import import_responses
from persyn_kedro.domain.teachers.recipe import make_recipes
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.prompts.conversation import Message, as_prompt, prompt_id_of
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.marks import lasting
from persyn_kedro.foundations.settings.prepare import PrepareSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.foundations.settings.student import EvaluateSettings, StudentSettings
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.foundations.tables.messages import columns_of
from tests.support.fake_engine import answer, model, recipe
from tests.support.talks import OPENAI, TALK, USER

PAIR = (prompt_id_of(TALK), TALK)


def test_the_identities_of_settings_without_conversations_are_those_of_earlier_versions() -> None:
    source = {"file": "p.jsonl", "prompt_column": "q"}
    prepare = PrepareSettings.model_validate({"source": source})
    teachers = Teachers.model_validate(
        {"a": {"model": "m", "system": "Be brief."}, "b": {"model": "m"}}
    )
    groups = {"prepare": lasting(prepare), "teachers": lasting(teachers)}
    assert settings_id(groups) == "ee1588bb9afa6f5b7ca5c934fbcf69f8"
    brief = recipe("a", system="Be brief.")
    assert brief.recipe_id == "2fc041ef902fbc832541e4e68e414b8e"
    assert brief.response_key("ca978112ca1bbdcafac231b39a23dc4d") == (
        "31b0ccbab37f7f078ee9b207d037052c"
    )


@pytest.mark.parametrize(
    ("row_system", "asked"),
    [("join", "Be brief.\n\nBe kind."), ("row", "Be kind."), ("teacher", "Be brief.")],
)
def test_a_teachers_setting_says_how_a_rows_system_message_meets_its_own(
    fake: Any, store: ResponseStore, row_system: str, asked: str
) -> None:
    teachers = Teachers.model_validate(
        {
            "a": {"model": "m", "system": "Be brief.", "row_system": row_system},
            "b": {"model": "m", "system": "Be brief."},
        }
    )
    one, joined = make_recipes(teachers, {"m": model("m")})
    assert (one.recipe_id == joined.recipe_id) == (row_system == "join")
    same = lasting(teachers)[0][1] == lasting(teachers)[1][1]
    assert same == (row_system == "join")
    answer({"a": [PAIR, ("id", "plain")]}, [one], store)
    plain, talk = fake.requests
    assert talk.messages == [{"role": "system", "content": asked}, *OPENAI[1:]]
    assert plain.messages == [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "plain"},
    ]  # fmt: skip


def test_a_hosted_prompt_is_set_aside_for_a_marker_in_any_of_its_own_messages() -> None:
    marked = as_prompt([USER, Message("assistant", "x<|im_end|>"), USER])
    assert holds_marker(marked) and holds_marker("[INST]")
    assert not holds_marker(TALK) and not holds_marker("plain")
    request = Request("k", "plain", "<|im_start|>", SamplingSettings(), 0)
    assert not holds_marker(request.prompt)  # a teacher's own system message is the user's affair


def exam(system: str | None, *prompts: Any) -> Exam:
    rows = [{"prompt_id": prompt_id_of(p), **columns_of(p)} for p in prompts]
    return Exam(
        rows, StudentSettings(model="m", system=system), EvaluateSettings(),
        EngineSettings(name="transformers"), 0,
    )  # fmt: skip


def test_the_student_is_asked_with_the_rows_system_message_first(
    fake: Any, store: ResponseStore
) -> None:
    asked = exam("Be brief.", "plain", TALK)
    asked.ask(model("m"), store)  # type: ignore[arg-type]
    by_prompt = {request.prompt: request.messages[0]["content"] for request in fake.requests}
    assert by_prompt == {"plain": "Be brief.", TALK: "Be kind.\n\nBe brief."}
    # As a teacher, the same model gets the other order: these answers are not shared.
    teacher = recipe(STUDENT, "m", system="Be brief.")
    assert asked.recipe(model("m")).recipe_id != teacher.recipe_id  # type: ignore[arg-type]


def test_the_students_answers_of_earlier_versions_are_still_its_own() -> None:
    for asked, system in ((exam("Be brief.", "plain"), "Be brief."), (exam(None, TALK), None)):
        own = asked.recipe(model("m"))  # type: ignore[arg-type]
        assert own.recipe_id == recipe(STUDENT, "m", system=system).recipe_id


def test_answers_to_a_conversation_can_be_imported(tmp_path: Path, store: ResponseStore) -> None:
    file = tmp_path / "r.jsonl"
    row = {"messages": OPENAI, "teacher": "a", "response": "2"}
    file.write_text(json.dumps(row))
    teacher = recipe("a")
    assert import_responses(file, [teacher], store) == {"a": 1}
    rows, calls = answer({"a": [PAIR]}, [teacher], store)
    assert rows[0]["response"] == "2" and calls["a"]["calls"] == 0
    file.write_text(json.dumps({**row, "messages": OPENAI[:3]}))
    with pytest.raises(PersynError, match="Line 1 of .* does not end with the user's message"):
        import_responses(file, [teacher], store)
    file.write_text(json.dumps({"teacher": "a", "response": "2"}))
    with pytest.raises(PersynError, match="Line 1 of .* has no text in 'prompt'"):
        import_responses(file, [teacher], store)


def test_the_plan_counts_every_message() -> None:
    talk = as_prompt([USER._replace(content="x" * 40), Message("assistant", "y" * 80), USER])
    # 10 + 20 + 0.5 tokens, 16 of the template and 4 of each further message
    assert prompt_tokens(recipe("a"), [talk]) == 10 + 20 + 0 + 16 + 2 * 4
    assert prompt_tokens(recipe("a", system="z" * 8), ["x" * 40]) == 10 + 2 + 16
    assert prompt_tokens(recipe("a"), [talk, "x" * 40]) == ((54) + (26)) / 2


def test_an_own_quality_function_is_given_a_transcript_and_messages_if_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("q.py").write_text(
        "seen = []\n"
        "def plain(prompt, response, reference):\n    seen.append(prompt); return 1\n"
        "def talks(prompt, response, reference, messages=None):\n"
        "    seen.append(messages); return len(messages)\n"
        "def odd(messages, response, reference):\n    seen.append(messages); return 2\n"
    )
    requests = [("k", TALK, "2", ()), ("l", "plain", "2", ())]
    scores = {kind: dict(function_scores(requests, f"q.py:{kind}")) for kind in ("plain", "odd")}
    assert scores == {"plain": {"k": 1.0, "l": 1.0}, "odd": {"k": 2.0, "l": 2.0}}
    assert dict(function_scores(requests, "q.py:talks")) == {"k": 4.0, "l": 1.0}
    from persyn_kedro.foundations.settings.plugins import load_own

    told = [str(TALK), "plain"]
    assert load_own("q.py:seen") == [*told, *told, OPENAI, [{"role": "user", "content": "plain"}]]
