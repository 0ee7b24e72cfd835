"""Prompts that are conversations: their identity, their system messages, and tables of them."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from persyn_kedro.api.prompts import prompt_table
from persyn_kedro.datasets.parquet_table import ParquetTable
from persyn_kedro.domain.prompts.find import find_prompt
from persyn_kedro.domain.prompts.prepare import prepare_prompts, split_prompts
from persyn_kedro.domain.prompts.select import find_rows, find_texts, holds_system, select_texts
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.prompts.conversation import (
    Conversation,
    Message,
    Prompt,
    as_prompt,
    from_rows,
    prompt_id_of,
    with_system,
)
from persyn_kedro.foundations.settings.prepare import PrepareSettings, PromptSource
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.messages import columns_of, prompts_of
from persyn_kedro.foundations.tables.rows import PromptColumns, texts_alone
from tests.support.tables import dataset
from tests.support.talks import AGAIN, ANSWER, OPENAI, SYSTEM, TALK, USER


def test_one_user_message_is_its_text_and_a_conversation_a_value() -> None:
    assert as_prompt([USER]) == "Hi"
    assert as_prompt(TALK.messages) == TALK == pickle.loads(pickle.dumps(TALK))
    assert len({TALK, as_prompt(from_rows(OPENAI)), "Hi"}) == 2
    assert str(TALK) == "System: Be kind.\n\nUser: Hi\n\nAssistant: Hello!\n\nUser: 1+1?"


def test_the_id_of_a_text_is_as_ever_and_no_text_has_that_of_a_conversation() -> None:
    assert prompt_id_of("a") == "ca978112ca1bbdcafac231b39a23dc4d"  # printf a | sha256sum
    told = json.dumps(OPENAI, sort_keys=True)
    # (printf '\xff'; printf '%s' "$told") | sha256sum
    assert prompt_id_of(TALK) == "50e7948f916fecd3e88889bdb15ff5c2"
    assert prompt_id_of(TALK) not in {text_id(told), text_id(str(TALK)), text_id("\xff" + told)}
    others = [
        TALK.messages[1:],
        (SYSTEM, AGAIN),
        (Message("system", "Be kind"), *TALK.messages[1:]),
    ]
    assert len({prompt_id_of(TALK), *(prompt_id_of(as_prompt(own)) for own in others)}) == 4


@pytest.mark.parametrize(
    ("order", "own", "system", "wanted"),
    [
        ("join", "row", "teacher", "teacher\n\nrow"),
        ("row_first", "row", "teacher", "row\n\nteacher"),
        ("row", "row", "teacher", "row"),
        ("teacher", "row", "teacher", "teacher"),
        ("teacher", "row", None, None),
        ("row", None, "teacher", "teacher"),
        ("join", "row", None, "row"),
        ("join", "row", "", "row"),
        ("join", "", "", ""),
        ("join", None, "teacher", "teacher"),
        ("row_first", None, "", ""),
        ("join", None, None, None),
    ],
)
def test_a_conversations_system_message_meets_anothers(
    order: Any, own: str | None, system: str | None, wanted: str | None
) -> None:
    rest = (USER, ANSWER, AGAIN)
    prompt = as_prompt(rest if own is None else (Message("system", own), *rest))
    met = with_system(prompt, system, order)
    assert met == (rest if wanted is None else (Message("system", wanted), *rest))


def test_a_text_meets_a_system_message_as_ever() -> None:
    for order in ("join", "row", "teacher", "row_first"):
        assert with_system("Hi", None, order) == (USER,)  # type: ignore[arg-type]
        assert with_system("Hi", "s ", order) == (("system", "s "), USER)  # type: ignore[arg-type]


def table_of(*prompts: Prompt) -> pa.Table:
    """Return rows of ``schemas.PROMPTS``, all of them calibration prompts."""
    none = {"reference": None, "source": "s", "metadata": None}
    source = prepare_prompts({**columns_of(prompt), **none} for prompt in prompts)
    place = PrepareSettings(
        source=PromptSource(file="f"), calibration_fraction=0.99, test_fraction=0.0
    )
    return split_prompts(source, place, 0).read_all()


def test_tables_give_the_prompts_that_were_put_in() -> None:
    prompts: list[Prompt] = ["plain", TALK, as_prompt([SYSTEM, USER]), "Hi"]
    table = table_of(*prompts, as_prompt([USER]), TALK)
    assert table["prompt_id"].to_pylist() == [prompt_id_of(prompt) for prompt in prompts]
    assert table["prompt"].to_pylist() == [str(prompt) for prompt in prompts]
    assert prompts_of(table) == prompts
    data = pads.dataset(table)
    assert list(find_texts(data, table["prompt_id"])) == [(prompt_id_of(p), p) for p in prompts]
    assert [p for _, p in select_texts(data, ["calibration", "train"])] == prompts
    assert select_texts(data, ["calibration", "train"]).at(np.array([1]))[0][1] == TALK
    columns = PromptColumns(texts_alone(data))
    assert (list(columns), columns[1:3]) == (prompts, prompts[1:3])
    assert find_rows(data, table["prompt_id"])[prompt_id_of(TALK)]["messages"] == OPENAI
    assert find_prompt(data, prompt_id_of(TALK))["messages"] == OPENAI
    splits = ("calibration", "train", "test")
    assert holds_system(data, splits) and not holds_system(data, ["test"])
    assert not holds_system(
        pads.dataset(table_of("plain", as_prompt((USER, ANSWER, AGAIN)))), splits
    )


def test_a_table_of_an_older_version_without_messages_is_read(tmp_path: Path) -> None:
    old = table_of("plain", "other").drop_columns(["messages"])
    path = tmp_path / "prompts.parquet" / "v1" / "prompts.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(old.replace_schema_metadata({"note": "kept"}), path)
    from kedro.io.core import Version

    stored = ParquetTable(
        filepath=str(tmp_path / "prompts.parquet"), table="prompts", version=Version(None, None)
    )
    data = stored.load_version("v1")
    assert [prompt for _, prompt in find_texts(data, old["prompt_id"])] == ["plain", "other"]
    assert list(PromptColumns(texts_alone(data))) == ["plain", "other"]
    assert not holds_system(data, ["calibration"])
    assert data.schema.metadata == {b"note": b"kept"}


def test_python_takes_lists_of_messages_and_its_own_tables_again() -> None:
    table = prompt_table(["plain", OPENAI, {"messages": OPENAI[1:], "reference": 2}])
    assert prompts_of(table) == ["plain", TALK, Conversation(TALK.messages[1:])]
    assert table["reference"].to_pylist() == [None, None, "2"]
    assert prompt_table(table) == table
    assert prompts_of(prompt_table([{"prompt": "plain", "messages": OPENAI}])) == ["plain"]
    with pytest.raises(PersynError, match="Row 1 of the prompts does not end with the user's"):
        prompt_table([OPENAI[:3]])
    with pytest.raises(
        PersynError, match="Row 1 of the prompts has no list of messages, but a val"
    ):
        prompt_table([7])


def test_no_system_message_is_seen_in_an_empty_table() -> None:
    assert not holds_system(dataset([], schemas.PROMPTS), ["test"])
