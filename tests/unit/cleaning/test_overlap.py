"""Overlap with test sets: word n-grams, shares of the test prompt, and short ones as a whole."""

import pytest
from hypothesis import given, settings, strategies as st

from persyn_kedro.domain.cleaning.overlap import OverlapIndex, Question
from persyn_kedro.domain.cleaning.texts import words_of
from persyn_kedro.foundations.settings.cleaning import OverlapSettings

ITEM = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen."
WORDS = words_of(ITEM)


def index(*texts: str, **overlap: float) -> OverlapIndex:
    items = (Question("gsm8k", n, text) for n, text in enumerate(texts, start=1))
    return OverlapIndex(items, OverlapSettings(**overlap))


def test_thirteen_common_words_in_a_row_are_enough_and_twelve_are_not() -> None:
    tests = index("Unrelated words.", ITEM)
    found = tests.overlap("Before: " + " ".join(WORDS[1:14]).upper() + "! and after")
    assert found is not None
    assert (found.match, found.match_excerpt) == ("gsm8k, row 2", ITEM)
    assert found.share == pytest.approx(13 / 15)
    assert tests.overlap("Before: " + " ".join(WORDS[1:13]) + " and after") is None
    assert tests.overlap(" ".join([*WORDS[:7], "else", *WORDS[7:]])) is None


def test_the_share_counts_each_covered_word_of_the_test_prompt_once() -> None:
    text = " ".join([*WORDS[0:4], "x", *WORDS[2:7], "y", *WORDS[12:15]])
    # 3-grams: of words 1-4 two, of 3-7 three, of 13-15 one: they cover 1-7 and 13-15, 10 of 15.
    found = index(ITEM, words=3).overlap(text)
    assert found is not None and found.share == pytest.approx(10 / 15)
    assert index(ITEM, words=3, share=10 / 15).overlap(text) is not None
    assert index(ITEM, words=3, share=0.67).overlap(text) is None


def test_of_several_test_prompts_the_one_that_is_covered_most_is_named() -> None:
    other = " ".join(WORDS[:8]) + " and then a lot of other words that follow in this one"
    found = index(other, ITEM, words=8, share=0.5).overlap(ITEM)
    assert found is not None and (found.match, found.share) == ("gsm8k, row 2", 1.0)


def test_a_test_prompt_without_an_ngram_counts_only_as_a_whole() -> None:
    tests = index("What is 3 + 5?", ITEM)
    assert tests.overlap(" what IS 3 +\n5? ") is not None
    assert tests.overlap("What is 3 - 5?") is None  # the same words
    assert tests.overlap("Tell me: what is 3 + 5?") is None


def test_scripts_without_spaces_are_compared_by_the_character() -> None:
    assert words_of("Äpfel, 3½ don't 中国の mañana") == [
        "äpfel", "3½", "don", "t", "中", "国", "の", "mañana",
    ]  # fmt: skip
    assert (
        index("中国的首都是哪个城市呢请你告诉我").overlap("问：中国的首都是哪个城市呢请你说")
        is not None
    )


def test_without_test_prompts_nothing_overlaps() -> None:
    assert index().overlap(ITEM) is None and len(index()) == 0


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12), min_size=1, max_size=6),
    st.lists(st.sampled_from("abcd"), max_size=14),
    st.integers(2, 4),
)
def test_the_share_is_what_a_plain_search_finds(
    tests: list[list[str]], words: list[str], size: int
) -> None:
    grams = {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}

    def share(item: list[str]) -> float:
        if len(item) < size:
            return float(item == words)
        starts = [i for i in range(len(item) - size + 1) if tuple(item[i : i + size]) in grams]
        return len({i + n for i in starts for n in range(size)}) / len(item)

    found = index(*map(" ".join, tests), words=size).overlap(" ".join(words))
    best = max(map(share, tests))
    assert (found.share if found else 0.0) == pytest.approx(best)
    if found:
        row = int(found.match.rpartition(" ")[2])
        assert share(tests[row - 1]) == pytest.approx(best)
