"""Near-duplicates: what is similar, which one stays, and that order and numbers do not matter."""

import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from persyn_kedro.domain.cleaning import near_duplicates
from persyn_kedro.domain.cleaning.near_duplicates import (
    FOUND,
    PERMUTATIONS,
    bands,
    nearest_kept,
    signatures,
)
from persyn_kedro.domain.cleaning.ngrams import characters, ngram_hashes
from persyn_kedro.domain.cleaning.texts import folded

SENTENCE = "A farmer has 17 sheep and sells all but nine of them; how many sheep are left over?"


def signed(texts: list[str], length: int = 5, seed: int = 3) -> np.ndarray:
    return np.array(list(signatures(texts, length, seed)))


def jaccard(one: str, other: str, length: int = 5) -> float:
    a, b = (
        {folded(t)[i : i + length] for i in range(max(1, len(folded(t)) - length + 1))}
        for t in (one, other)
    )
    return len(a & b) / len(a | b)


def varied(random_: random.Random, changes: int) -> str:
    words = SENTENCE.split()
    for place in random_.sample(range(len(words)), changes):
        words[place] = f"w{random_.randrange(1000)}"
    return " ".join(words)


def test_the_hashes_tell_ngrams_apart_as_sets_of_strings_do() -> None:
    text = folded(SENTENCE)
    grams = [text[i : i + 5] for i in range(len(text) - 4)]
    hashes = ngram_hashes(characters(text), 5).tolist()
    assert len(hashes) == len(grams)
    for (one, a), (other, b) in combinations(zip(grams, hashes, strict=True), 2):
        assert (one == other) == (a == b)


def test_the_share_of_equal_values_estimates_the_share_of_common_ngrams() -> None:
    texts = [SENTENCE, *(varied(random.Random(n), n % 10) for n in range(200))]
    found = signed(texts)
    shares = (found == found[0]).mean(axis=1)
    true = np.array([jaccard(SENTENCE, text) for text in texts])
    # The standard error of one estimate is sqrt(J (1 - J) / 128), at most 0.044.
    assert np.abs(shares - true).max() < 5 * 0.044
    assert abs(np.mean(shares - true)) < 0.03


def test_case_and_spacing_do_not_count_and_the_seed_does() -> None:
    one, other = signed([SENTENCE, f"  {SENTENCE.upper()}\n"])
    assert (one == other).all()
    assert (signed([SENTENCE], seed=3) != signed([SENTENCE], seed=4)).any()


@pytest.mark.parametrize("similarity", [0.1, 0.5, 0.7, 0.8, 0.9, 0.95])
def test_a_pair_at_the_threshold_is_compared_with_the_promised_probability(
    similarity: float,
) -> None:
    count, rows = bands(similarity)
    assert count * rows <= PERMUTATIONS
    assert 1 - (1 - similarity**rows) ** count >= FOUND
    longer = rows + 1
    assert 1 - (1 - similarity**longer) ** (PERMUTATIONS // longer) < FOUND


def test_the_bands_of_equal_texts_are_one_and_of_0_8_as_worked_out_by_hand() -> None:
    assert bands(1.0) == (1, 128)
    assert bands(0.8) == (18, 7)  # 1 - (1 - 0.8^7)^18 = 0.986; with 16 of 8, 0.947


def test_the_first_in_order_stays_and_each_dropped_one_names_one_that_stays() -> None:
    texts = [SENTENCE, SENTENCE.replace("17", "18"), "Something else entirely?", SENTENCE + " Ok?"]
    found = signed(texts)
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]):
        matches, shares = nearest_kept(found, order, 0.8)
        first = next(row for row in order if row != 2)
        assert {row: int(m) for row, m in enumerate(matches) if m >= 0} == {
            row: first for row in (0, 1, 3) if row != first
        }
        assert (shares[matches >= 0] >= 0.8).all() and np.isnan(shares[matches < 0]).all()


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(2, 60))
def test_no_two_that_stay_are_compared_and_similar_and_rows_do_not_matter(
    drawn: random.Random, count: int
) -> None:
    texts = [varied(drawn, drawn.choice([0, 1, 2, 8])) for _ in range(count)]
    found = signed(texts)
    order = drawn.sample(range(count), count)
    matches, _ = nearest_kept(found, order, 0.8)
    kept = {row for row in range(count) if matches[row] < 0}
    assert all(int(matches[row]) in kept for row in range(count) if row not in kept)
    # The same prompts in other rows: the same ones stay.
    moved = drawn.sample(range(count), count)
    place = {row: n for n, row in enumerate(moved)}
    again, _ = nearest_kept(found[moved], [place[row] for row in order], 0.8)
    assert {moved[n] for n in range(count) if again[n] < 0} == kept


def test_what_differs_too_much_for_one_kept_prompt_is_not_dropped_through_a_chain() -> None:
    words = [f"word{n}" for n in range(40)]
    texts = [" ".join(words[n : n + 30]) for n in (0, 3, 6)]  # neighbours are alike, the ends less
    assert jaccard(texts[0], texts[1]) > 0.8 > jaccard(texts[0], texts[2])
    matches, _ = nearest_kept(signed(texts), [0, 1, 2], 0.78)
    assert matches.tolist() == [-1, 0, -1]


def test_a_full_bucket_still_drops_what_is_like_its_first_members(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(near_duplicates, "IN_A_BUCKET", 1)
    texts = [SENTENCE, *(varied(random.Random(n), 9) for n in range(30)), SENTENCE + "?"]
    matches, _ = nearest_kept(signed(texts), range(len(texts)), 0.8)
    assert matches[-1] == 0


def test_no_prompts_and_texts_shorter_than_an_ngram_are_fine() -> None:
    matches, _ = nearest_kept(np.zeros((0, PERMUTATIONS), np.uint32), [], 0.8)
    assert len(matches) == 0
    matches, _ = nearest_kept(signed(["hi", "Hi", "ho"]), [0, 1, 2], 0.8)
    assert matches.tolist() == [-1, 0, -1]
