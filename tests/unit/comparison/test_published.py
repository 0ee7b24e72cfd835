"""What a comparison publishes, on numbers worked out by hand."""

from pathlib import Path

import pyarrow as pa
import pytest

from persyn_kedro.domain.comparison.published import (
    published_answers,
    published_choices,
    published_examples,
)
from persyn_kedro.foundations.tables import schemas
from tests.support.docs import program


def test_answers_have_their_rewards_and_the_tokens_of_all_their_draws() -> None:
    rewards = [
        {
            "prompt_id": "p",
            "teacher": t,
            "quality": q,
            "reward": q,
            "valid": v,
        }
        for t, q, v in (("a", 1.0, True), ("b", None, False))
    ]
    responses = [
        {"prompt_id": "p", "teacher": "a", "sample_index": i, "completion_tokens": n,
         "prompt_tokens": 3}
        for i, n in enumerate((5, 7))
    ]  # fmt: skip
    found = published_answers(
        pa.Table.from_pylist(rewards, schemas.REWARDS).replace_schema_metadata({"asked": "noted"}),
        pa.Table.from_pylist(responses, schemas.RESPONSES),
    )
    assert found.schema.metadata == {b"asked": b"noted"}
    tokens = ["teacher", "reward", "valid", "prompt_tokens", "completion_tokens"]
    assert [tuple(row[c] for c in tokens) for row in found.to_pylist()] == [
        ("a", 1.0, True, 6, 12),
        ("b", None, False, 0, 0),  # never answered
    ]
    none = published_answers(schemas.REWARDS.empty_table(), schemas.RESPONSES.empty_table())
    assert none.column_names == found.column_names and len(none) == 0


def test_a_prompt_that_a_strategy_did_not_take_has_no_tokens() -> None:
    allocated = [{"strategy": "persyn", "prompt_id": p, "choices": ["b", "a"]} for p in ("p", "q")]
    taken = [{"strategy": "persyn", "prompt_id": "q", "completion_tokens": 9, "added_tokens": 4}]
    found = published_choices(
        pa.Table.from_pylist(allocated, schemas.ALLOCATIONS),
        pa.Table.from_pylist(taken, schemas.STRATEGY_PROMPTS),
    ).to_pylist()
    assert [(r["teacher"], r["completion_tokens"], r["added_tokens"]) for r in found] == [
        ("b", None, None),
        ("b", 9, 4),
    ]


def test_a_training_answer_has_its_own_tokens_not_all_that_were_asked_for() -> None:
    """The first answer to the prompt is wrong, so the second teacher was asked too."""
    answers = [("persyn", "1" * 32, 30), ("persyn", "2" * 32, 8), ("random", "1" * 32, 30)]
    responses = [
        {"strategy": strategy, "prompt_id": "p", "response_key": key, "completion_tokens": tokens}
        for strategy, key, tokens in answers
    ]
    examples = [
        {"strategy": strategy, "prompt_id": "p", "teacher": teacher, "response_key": key}
        for strategy, teacher, key in (("persyn", "b", "2" * 32), ("random", "a", "1" * 32))
    ]
    found = published_examples(pa.Table.from_pylist(examples), pa.Table.from_pylist(responses))
    assert found.to_pylist() == [
        {**examples[0], "completion_tokens": 8},
        {**examples[1], "completion_tokens": 30},
    ]


def test_the_page_keeps_everything_but_its_marked_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    results = program("results")
    computed = []

    def tables_of(directory: Path, wanted: list[str]) -> dict[str, str]:
        computed.append((directory, wanted))
        return {"students": f"{directory.name}'s students\n", "students on sums, lists": "some\n"}

    monkeypatch.setattr(results, "tables_of", tables_of)
    text = "# A\n<!-- docs/data/x: students -->\nold\n<!-- end -->\n\nB\n"
    text += "<!-- docs/data/x: students on sums, lists -->\n<!-- end -->\nC\n"
    new = results.page(text, Path("data"))
    assert new == (
        "# A\n<!-- docs/data/x: students -->\n\nx's students\n\n<!-- end -->\n\nB\n"
        "<!-- docs/data/x: students on sums, lists -->\n\nsome\n\n<!-- end -->\nC\n"
    )
    assert results.page(new, Path("data")) == new
    wanted = ["students", "students on sums, lists"]
    assert computed == [(Path("data/x"), wanted)] * 2  # once a page
