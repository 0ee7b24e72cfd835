"""Where sentences end, and what each is scored after."""

import pytest
from hypothesis import given, strategies as st

from persyn_kedro.domain.learnability.local import BEFORE, sentence_ends, windows
from persyn_kedro.domain.learnability.token_scores import Passage


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two? Three!", ["One. ", "Two? ", "Three!"]),
        ("It is 3.14, i.e. pi.", ["It is 3.14, i.e. ", "pi."]),
        ('He said "no." Then left.', ['He said "no." ', "Then left."]),
        ("a = 1\n\nb = 2\n", ["a = 1\n\n", "b = 2\n"]),
        ("\n\nOne", ["\n\nOne"]),
        ("一。二！", ["一。", "二！"]),
        ("x", ["x"]),
    ],
)
def test_a_sentence_ends_with_a_mark_and_a_space_or_with_a_line(text, sentences):
    ends = sentence_ends(text)
    assert [text[a:b] for a, b in zip([0, *ends], ends, strict=False)] == sentences


def test_a_sentence_is_scored_after_the_prompt_and_four_sentences():
    ids = [10, 11, 20, 30, 31, 32, 40, 50, 60]
    numbers = [i // 10 - 1 for i in ids]
    assert list(windows([1, 2], ids, numbers)) == [
        Passage([1, 2], [10, 11], 0),
        Passage([1, 2], [10, 11, 20], 2),
        Passage([1, 2], [10, 11, 20, 30, 31, 32], 3),
        Passage([1, 2], [10, 11, 20, 30, 31, 32, 40], 6),
        Passage([1, 2], [10, 11, 20, 30, 31, 32, 40, 50], 7),
        Passage([1, 2], [20, 30, 31, 32, 40, 50, 60], 6),
    ]
    assert list(windows([1], [], [])) == []


@given(st.lists(st.integers(0, 1), max_size=40))
def test_each_token_is_scored_once_and_in_order(steps):
    numbers = [sum(steps[:i]) for i in range(len(steps))]
    passages = list(windows([0], list(range(len(steps))), numbers))
    assert [t for p in passages for t in p.ids[p.context :]] == list(range(len(steps)))
    for passage in passages:
        given_ = {numbers[t] for t in passage.ids[: passage.context]}
        assert len(given_) <= BEFORE
