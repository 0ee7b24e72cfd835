"""Conversations in files: what is read, refused, and told of."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from persyn_kedro.domain.prompts.prepare import prepare_prompts
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.prompts.conversation import Conversation, Message, Prompt
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.messages import prompts_of
from tests.support.prompt_files import content, read
from tests.support.talks import AGAIN, ANSWER, OPENAI, SHAREGPT, TALK, USER


def write(file: Path, *rows: dict[str, Any]) -> Path:
    file.write_bytes(content(list(rows), file.suffix[1:]))
    return file


def read_prompts(file: Path, **settings: Any) -> list[Prompt]:
    return prompts_of(pa.Table.from_pylist(read(file, **settings), schemas.SOURCE_PROMPTS))


def test_a_file_may_mix_texts_messages_and_sharegpts_conversations(tmp_path: Path) -> None:
    file = write(
        tmp_path / "p.jsonl",
        {"prompt": "plain", "reference": "7", "messages": "of no use here"},
        {"messages": OPENAI, "reference": 2},
        {"conversations": SHAREGPT},
        {"prompt": None, "messages": [{"role": "user", "content": "alone"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "in "}, "parts"]}]},
        {"conversations": [*SHAREGPT[1:3], {"from": "function", "value": ""}, SHAREGPT[3]]},
    )
    tool = Message("tool", "")
    wanted: list[Prompt] = [
        "plain", TALK, TALK, "alone", "in parts", Conversation((USER, ANSWER, tool, AGAIN)),
    ]  # fmt: skip
    assert read_prompts(file) == wanted
    assert [row["reference"] for row in read(file)] == ["7", "2", None, None, None, None]
    assert [r["prompt"] for r in prepare_prompts(read(file)).read_all().to_pylist()] == [
        str(prompt) for prompt in dict.fromkeys(wanted)
    ]


def test_the_prompt_column_may_be_that_of_the_conversations_too(tmp_path: Path) -> None:
    """As in TRL's format, and in ``sft_dataset``."""
    file = write(tmp_path / "p.jsonl", {"prompt": OPENAI}, {"prompt": "2"})
    assert read_prompts(file, messages_column="prompt") == [TALK, "2"]
    with pytest.raises(PersynError, match="but a list; if these are messages, set messages_column"):
        read(file)


def test_a_suffix_is_added_to_the_last_message(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", {"messages": OPENAI}, {"prompt": "a"})
    last = Message("user", "1+1? Think.")
    assert read_prompts(file, prompt_suffix=" Think.") == [
        Conversation((*TALK.messages[:-1], last)), "a Think.",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["parquet", "json", "jsonl"])
def test_files_of_all_kinds_but_csv_have_conversations_in_columns_of_any_name(
    tmp_path: Path, kind: str
) -> None:
    rows = [
        {"q": "plain", "chat": None, "old": None, "x": 1},
        {"q": None, "chat": OPENAI, "old": None, "x": 2},
        {"q": None, "chat": None, "old": SHAREGPT, "x": 3},
    ]
    file = write(tmp_path / f"p.{kind}", *rows)
    columns = {"prompt_column": "q", "messages_column": "chat", "conversations_column": "old"}
    assert read_prompts(file, **columns) == ["plain", TALK, TALK]


def test_an_answer_at_the_end_is_refused_or_becomes_the_reference(tmp_path: Path) -> None:
    answered = [*OPENAI, {"role": "assistant", "content": "2"}]
    file = write(
        tmp_path / "p.jsonl",
        {"messages": answered},
        {"messages": answered, "reference": "two"},
        {"conversations": [SHAREGPT[1], SHAREGPT[2]]},
        {"messages": OPENAI},
    )
    with pytest.raises(
        PersynError, match="Row 1 of p.jsonl ends with the assistant's message: set"
    ):
        read(file)
    assert read_prompts(file, last_answer="reference") == [TALK, TALK, "Hi", TALK]
    found = [row["reference"] for row in read(file, last_answer="reference")]
    assert found == ["2", "two", "Hello!", None]
    write(file, {"messages": [{"role": "assistant", "content": "2"}]})
    with pytest.raises(PersynError, match="Row 1 of p.jsonl has no user message before"):
        read(file, last_answer="reference")


def said(role: Any, content: Any = "x", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


IMAGE = {"type": "image_url", "image_url": {"url": "data:"}}


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([], "Row 1 of p.jsonl has an empty conversation"),
        ("Hi", "Row 1 of p.jsonl has no list of messages, but a text"),
        ({"role": "user"}, "has no list of messages, but an object"),
        (7, "has no list of messages, but a value of type int"),
        (["Hi"], "Row 1 of p.jsonl, message 1 is not an object with role and content, but a text"),
        ([{"content": "Hi"}], "message 1 has neither a role nor a from .its keys: content"),
        ([said("user"), said("bot")], "message 2 has unknown role 'bot'; known: system, user, ass"),
        ([said(["user"])], "message 1 has unknown role"),
        (
            [{"from": "me", "value": "x"}],
            "message 1 has unknown role 'me'; known: human, user, gpt",
        ),
        ([said("system"), said("system"), said("user")], "has 2 system messages; merge them"),
        (
            [said("user"), said("system"), said("user")],
            "message 2 is the system's, which must come",
        ),
        ([said("system")], "Row 1 of p.jsonl has no user message; remove it"),
        ([said("user"), said("tool")], "does not end with the user's message, but with the tool's"),
        ([said("user", None)], "message 1 has no text, but nothing"),
        ([said("user", 7)], "message 1 has no text, but a value of type int"),
        ([said("user", {"text": "x"})], "message 1 has no text, but an object"),
        ([said("user", " ")], "message 1 is empty"),
        ([said("user"), said("assistant", ""), said("user")], "message 2 is empty"),
        ([said("user", [IMAGE])], "message 1 has a part of type 'image_url'; only text"),
        ([said("user", [{"type": "text"}])], "message 1 has a part of type 'text'; only text"),
        ([said("user", [7])], "message 1 has a part of type 'int'"),
        ([said("assistant", None, tool_calls=[{}]), said("user")], "message 1 calls a tool; only"),
        ([said("user", "\ud800")], "message 1 has invalid Unicode"),
    ],
)
def test_a_bad_conversation_is_one_sentence(tmp_path: Path, messages: Any, sentence: str) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps({"messages": messages}))
    with pytest.raises(PersynError, match=sentence) as refused:
        read(file)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("Row 1 of p.jsonl")


def test_a_conversation_without_the_users_message_says_so(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", {"messages": [said("system"), said("assistant")]})
    with pytest.raises(PersynError, match=r"Row 1 of a.jsonl has no user message before"):
        read_prompts(file, last_answer="reference")
    file = write(tmp_path / "b.jsonl", {"messages": [said("system")]})
    with pytest.raises(PersynError, match=r"Row 1 of b.jsonl has no user message; remove it."):
        read_prompts(file)


def test_the_list_of_messages_that_is_not_empty_is_read(tmp_path: Path) -> None:
    row = {"messages": [], "conversations": SHAREGPT}
    assert read_prompts(write(tmp_path / "a.jsonl", row)) == [TALK]
    with pytest.raises(PersynError, match="empty conversation"):
        read_prompts(write(tmp_path / "b.jsonl", {"messages": []}))


def test_messages_beside_a_prompt_are_told_of_unless_a_column_is_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"prompt": "Hi", "messages": OPENAI}, {"prompt": "Ho", "messages": []}]
    file = write(tmp_path / "a.jsonl", *rows)
    assert read_prompts(file) == ["Hi", "Ho"]
    (line,) = caplog.messages
    assert line.startswith("1 of the rows of a.jsonl have messages beside their prompt")
    caplog.clear()
    assert read_prompts(file, prompt_column="prompt") == ["Hi", "Ho"]
    assert not caplog.messages
    assert read_prompts(write(tmp_path / "b.jsonl", rows[0]), prompt_column="messages") == [TALK]
